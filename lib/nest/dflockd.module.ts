import {
  ConfigurableModuleBuilder,
  Module,
  type DynamicModule,
  type ExistingProvider,
  type Provider,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, ApplicationConfig, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { named } from '../common/brand.js';
import { LockClient } from '../locks/lock-client.js';
import { checkObject } from '../common/option-checks.js';
import {
  DEFAULT_INSTANCE,
  serviceRefToken,
  MODULE_INFO,
  MODULE_OPTIONS,
  OWN_FILTER,
  OWN_LOG,
  OWN_SERVICE,
  OWN_WIRING,
} from './shared/dflockd.constants.js';
import { DflockdExplorer } from './boot/dflockd.explorer.js';
import { DflockdLifecycle } from './dflockd.lifecycle.js';
import { located } from './shared/dflockd.messages.js';
import {
  checkExtras,
  checkSource,
  clientOptionsOf,
  type DflockdModuleAsyncOptions,
  type DflockdModuleOptions,
  type DflockdModuleExtras,
} from './dflockd.options.js';
import { DflockdService } from './dflockd.service.js';
import { DflockdSignals, getDflockdSignalsToken, signalsClasses } from './dflockd.signals.js';
import { getDflockdToken, serviceClasses } from './dflockd.token.js';
import { eventLogger } from './event.logger.js';
import { logTo, type Log } from './module.logger.js';
import { noteAnswering } from './errors/exception.settings.js';
import { coverGateways } from './errors/gateway.filter.js';
import { LockRunner } from './methods/lock.runner.js';
import { moduleFilter, type ModuleFilter } from './errors/module.filter.js';
import { assertOneGlobal, type ModuleInfo } from './shared/module-info.js';
import { ServiceRef } from './methods/service-ref.js';
import { trackHandlers } from './requests/tracked-handler.js';

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<DflockdModuleOptions>({
  optionsInjectionToken: MODULE_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createDflockdOptions')
  .setExtras<DflockdModuleExtras>({ instance: undefined, isGlobal: true }, (definition, extras) => {
    located('DflockdModule', () => checkExtras(extras));
    const info = { instance: extras.instance ?? DEFAULT_INSTANCE, isGlobal: extras.isGlobal ?? true };
    return {
      ...definition,
      global: info.isGlobal,
      providers: [...(definition.providers ?? []), ...providersOf(info), ...aliasesOf(info)],
      exports: [
        getDflockdToken(info.instance),
        getDflockdSignalsToken(info.instance),
        serviceRefToken(info.instance),
        ...aliasesOf(info).map(({ provide }) => provide),
      ],
    };
  })
  .build();

/**
 * The lock service of an application.
 *
 * @example
 * ```ts
 * @Module({ imports: [DflockdModule.forRoot({ servers: ['127.0.0.1:6388'] })] })
 * ```
 */
@Module({})
export class DflockdModule extends ConfigurableModuleClass {
  /** @throws ConfigError at startup, for options that are wrong, unknown or contradictory */
  static override forRoot(options: DflockdModuleOptions & DflockdModuleExtras = {}): DynamicModule {
    located('DflockdModule.forRoot', () => checkObject('options', options));
    return super.forRoot(options);
  }

  /** @throws ConfigError at startup, as forRoot; also if an injected provider is request-scoped */
  static override forRootAsync(options: DflockdModuleAsyncOptions): DynamicModule {
    located('DflockdModule.forRootAsync', () => checkSource(options));
    return super.forRootAsync(options);
  }
}

named(DflockdModule, 'DflockdModule');

function providersOf(info: ModuleInfo): Provider[] {
  const service = getDflockdToken(info.instance);
  const ref = serviceRefToken(info.instance);
  return [
    { provide: MODULE_INFO, useValue: info },
    {
      provide: OWN_LOG,
      useFactory: (options: DflockdModuleOptions) => logTo(options?.logger),
      inject: [MODULE_OPTIONS],
    },
    // A factory, not a value: two applications created from the same module must not share it.
    { provide: ref, useFactory: () => new ServiceRef() },
    {
      provide: service,
      useFactory: async (options: DflockdModuleOptions, log: Log, modules: ModulesContainer) => {
        assertOneGlobal(modules, info);
        return new DflockdService(await startClient(options, log));
      },
      inject: [MODULE_OPTIONS, OWN_LOG, ModulesContainer],
    },
    {
      provide: getDflockdSignalsToken(info.instance),
      useFactory: (its: unknown) => new DflockdSignals(its),
      inject: [service],
    },
    { provide: OWN_SERVICE, useExisting: service },
    { provide: OWN_FILTER, useFactory: moduleFilter, inject: [HttpAdapterHost, ApplicationConfig, ModulesContainer] },
    { provide: APP_FILTER, useExisting: OWN_FILTER },
    {
      provide: OWN_WIRING,
      useFactory: (
        own: ServiceRef,
        its: unknown,
        filter: ModuleFilter,
        { exceptionFilter }: DflockdModuleOptions,
        modules: ModulesContainer,
      ) => {
        const client = its instanceof DflockdService ? its.client : undefined;
        own.fill(client && new LockRunner(client));
        filter.configure(noteAnswering(modules, info.instance, client?.origin, exceptionFilter));
        coverGateways(modules);
        trackHandlers(modules);
      },
      inject: [ref, service, OWN_FILTER, MODULE_OPTIONS, ModulesContainer],
    },
    DflockdExplorer,
    DflockdLifecycle,
  ];
}

/** Other copies of this package have their own classes, and libraries that bring them inject those. */
function aliasesOf({ instance }: ModuleInfo): ExistingProvider[] {
  if (instance !== DEFAULT_INSTANCE) return [];
  const aliases = (all: ReadonlySet<Type>, own: Type): ExistingProvider[] =>
    [...all].filter((other) => other !== own).map((other) => ({ provide: other, useExisting: own }));
  return [...aliases(serviceClasses, DflockdService as Type), ...aliases(signalsClasses, DflockdSignals as Type)];
}

async function startClient(options: DflockdModuleOptions, log: Log): Promise<LockClient<unknown>> {
  const client = located('DflockdModule', () => new LockClient(clientOptionsOf(options), { log }));
  // Not events$, which costs something per lock as soon as it has a subscriber.
  if (options.logger !== false) client.notices$.subscribe(eventLogger(log));
  if (client.remark) log('log', client.remark);
  await client.start();
  return client;
}
