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
 * Ties a module's service to the life of the application. It depends on nothing that comes from the options: Nest calls no
 * hooks of what a request-scoped option would have made request-scoped too, and that has to be reported here.
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
      // The boot fails, and Nest calls no hook for that: a port that `embedded.listen` has open would stay open.
      for (const module of this.modules.values()) await serviceOf(module)?.client.close();
      throw error;
    }
  }

  /** Only noted: requests in flight may use locks until HTTP is closed. */
  beforeApplicationShutdown(): void {
    this.log?.('debug', MESSAGES.closing);
  }

  async onApplicationShutdown(): Promise<void> {
    await serviceOf(this.own)?.client.close();
  }

  /** Undefined where the boot failed before there was one. */
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

/** Undefined also when a test has put something else in its place. */
function serviceOf(module: NestModule): DflockdService | undefined {
  const service: unknown = module.providers.get(OWN_SERVICE)?.instance;
  return service instanceof DflockdService ? service : undefined;
}
