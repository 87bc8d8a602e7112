import type { ModulesContainer } from '@nestjs/core';
import { originOf } from '../../common/error-origin.js';
import type { LockError } from '../../common/errors.js';
import { shared } from '../../common/shared-state.js';
import { checkNames, checkNumber, checkObject, wrong } from '../../common/option-checks.js';
import { DEFAULT_INSTANCE } from '../shared/dflockd.constants.js';
import type { LockErrorStatuses } from './lock-error-statuses.js';

/** The module's option `exceptionFilter`. */
export type ExceptionFilterSetting = boolean | LockErrorStatuses | undefined;

/** How one DflockdModule of an application answers errors. */
export interface Answering {
  readonly instance: string;
  /** The origin of its client's errors. Undefined if the service was replaced. */
  readonly origin: object | undefined;
  /** Undefined: it does not answer. */
  readonly settings: LockErrorStatuses | undefined;
}

const applications = shared('answering', () => new WeakMap<ModulesContainer, Answering[]>());
/** By the origin of errors, since `lockErrorResponse` knows no application. */
const settingsByOrigin = shared('answering-origins', () => new WeakMap<object, LockErrorStatuses>());

/** The modules of an application whose options are known. */
export function answeringIn(modules: ModulesContainer): readonly Answering[] {
  return applications.get(modules) ?? [];
}

/** Records how a module answers. */
export function noteAnswering(
  modules: ModulesContainer,
  instance: string,
  origin: object | undefined,
  setting: ExceptionFilterSetting,
): Answering {
  const settings = setting === false ? undefined : typeof setting === 'object' ? setting : {};
  const answering = { instance, origin, settings };
  applications.set(modules, [...answeringIn(modules), answering]);
  if (origin) settingsByOrigin.set(origin, settings ?? {});
  return answering;
}

/**
 * The module whose setting applies to an error: the one whose client threw it. For an error that none of them threw,
 * the default instance if it answers, otherwise the first that does.
 */
export function answeringOf(modules: ModulesContainer, error: LockError): Answering | undefined {
  const all = answeringIn(modules);
  const origin = originOf(error);
  const its = origin && all.find((one) => one.origin === origin);
  if (its) return its;
  const answering = all.filter(({ settings }) => settings !== undefined);
  return answering.find(({ instance }) => instance === DEFAULT_INSTANCE) ?? answering[0];
}

/** The settings of the module whose client threw the error, in any application; otherwise the defaults. */
export function settingsOf(error: LockError): LockErrorStatuses {
  const origin = originOf(error);
  return (origin && settingsByOrigin.get(origin)) ?? {};
}

const STATUSES = ['busyStatus', 'keyStatus'];

/** @throws ConfigError */
export function checkFilter(setting: unknown): void {
  const filter = checkStatuses('exceptionFilter', setting);
  // A property that is present but undefined, as from a configuration, means the default.
  if (!STATUSES.some((name) => name in filter)) {
    throw wrong('exceptionFilter', `true, false or an object with ${STATUSES.join(' or ')}`, setting);
  }
}

/** @throws ConfigError */
export function checkStatuses(option: string, setting: unknown): Readonly<Record<string, unknown>> {
  const statuses = checkObject(option, setting);
  checkNames(option, statuses, STATUSES);
  for (const name of STATUSES) {
    checkNumber(`${option}.${name}`, statuses[name], { min: 400, max: 599, integer: true });
  }
  return statuses;
}
