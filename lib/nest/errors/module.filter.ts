import { Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, type ModulesContainer } from '@nestjs/core';
import type { LockError } from '../../common/errors.js';
import { sharedSymbol } from '../../common/shared-state.js';
import { CatchIf, caughtBy, namesLockErrors } from './catch.types.js';
import { answeringOf, type Answering } from './exception.settings.js';
import { LockExceptionFilter } from './lock-exception.filter.js';
import type { LockErrorStatuses } from './lock-error-statuses.js';

const BRAND: unique symbol = sharedSymbol('module-filter') as never;

/** The global filter of one DflockdModule: answers the errors of its client, unless the application does. */
export class ModuleFilter extends LockExceptionFilter {
  readonly [BRAND] = true;
  private answering: Answering | undefined;

  constructor(
    @Inject(HttpAdapterHost) adapters: HttpAdapterHost,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {
    super(adapters);
  }

  /** Nest requires the filter before the options are known. */
  configure(answering: Answering): void {
    this.answering = answering;
  }

  override catch(error: LockError, host: ArgumentsHost): unknown {
    // Not left to Nest's order, since a catch-all filter might come in between.
    const named = filterNaming(error, this.config);
    return named ? named.catch(error, host) : super.catch(error, host);
  }

  /** Whether it answers any errors, and so can be hidden. */
  get isAnswering(): boolean {
    return this.answering?.settings !== undefined;
  }

  /** Whether it answers this error, or delegates it to a filter of the application. */
  answers(error: LockError, modules: ModulesContainer): boolean {
    return this.isAnswering && answeringOf(modules, error) === this.answering;
  }

  protected override settingsFor(): LockErrorStatuses {
    return this.answering?.settings ?? {};
  }
}

/** Also true for another copy of this package. */
export const isModuleFilter = (filter: unknown): filter is ModuleFilter =>
  typeof filter === 'object' && filter !== null && (filter as Partial<ModuleFilter>)[BRAND] === true;

/** Nest reads what a filter catches from its class, so each module has its own class. */
export function moduleFilter(
  adapters: HttpAdapterHost,
  config: ApplicationConfig,
  modules: ModulesContainer,
): ModuleFilter {
  class Its extends ModuleFilter {}
  const filter = new Its(adapters, config);
  CatchIf((error) => filter.answers(error, modules))(Its);
  return filter;
}

/**
 * The application's global filter for this error, if one names its class or a LockError class it inherits from.
 * Request-scoped filters come before all others anyway.
 */
function filterNaming(error: LockError, config: ApplicationConfig): ExceptionFilter | undefined {
  return config
    .getGlobalFilters()
    .findLast(
      (filter) =>
        !isModuleFilter(filter) && caughtBy(filter)?.some((type) => namesLockErrors(type) && error instanceof type),
    );
}
