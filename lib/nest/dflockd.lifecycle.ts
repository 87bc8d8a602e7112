import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { named } from '../common/brand.js';
import { ConfigError } from '../common/errors.js';
import { MODULE_INFO, OWN_LOG, OWN_SERVICE } from './shared/dflockd.constants.js';
import { DflockdExplorer } from './boot/dflockd.explorer.js';
import { MESSAGES } from './shared/dflockd.messages.js';
import { DflockdService } from './dflockd.service.js';
import type { Log } from './module.logger.js';
import { moduleOf, type ModuleInfo, type NestModule, type NestWrapper } from './shared/module-info.js';

/**
 * Ties a module's service to the application's lifecycle. It injects nothing that depends on the options: a
 * request-scoped option would make it request-scoped too, Nest would not call its hooks, and the mistake could not be
 * reported here.
 */
@Injectable()
export class DflockdLifecycle implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(
    @Inject(MODULE_INFO) private readonly info: ModuleInfo,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(DflockdExplorer) private readonly explorer: DflockdExplorer,
  ) {}

  /** @throws ConfigError */
  async onModuleInit(): Promise<void> {
    try {
      if (!this.provider(OWN_SERVICE).isDependencyTreeStatic()) {
        throw new ConfigError(MESSAGES.requestScoped(this.info.instance));
      }
      await this.explorer.explore((message) => this.log?.('warn', message));
    } catch (error) {
      // The boot fails, and Nest calls no hook then: a port opened by `embedded.listen` would stay open.
      for (const module of this.modules.values()) await serviceOf(module)?.client.close();
      throw error;
    }
  }

  /** Only logs: requests in flight may use locks until the HTTP server is closed. */
  beforeApplicationShutdown(): void {
    this.log?.('debug', MESSAGES.closing);
  }

  async onApplicationShutdown(): Promise<void> {
    await serviceOf(this.own)?.client.close();
  }

  /** Undefined if the boot failed before it existed. */
  private get log(): Log | undefined {
    return this.provider(OWN_LOG).instance as Log | undefined;
  }

  private get own(): NestModule {
    return moduleOf(this.modules, this.info);
  }

  private provider(token: symbol): NestWrapper {
    return this.own.providers.get(token)!;
  }
}

named(DflockdLifecycle, 'DflockdLifecycle');

/** Undefined also if a test has replaced it. */
function serviceOf(module: NestModule): DflockdService | undefined {
  const service: unknown = module.providers.get(OWN_SERVICE)?.instance;
  return service instanceof DflockdService ? service : undefined;
}
