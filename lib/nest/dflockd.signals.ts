import type { InjectionToken, Type } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { brand } from '../common/brand.js';
import { withOrigin } from '../common/error-origin.js';
import { ConfigError } from '../common/errors.js';
import { shared, sharedSymbol } from '../common/shared-state.js';
import type { LockClient } from '../locks/lock-client.js';
import type { Signal, SignalOptions } from '../locks/signals/signals.js';
import { DEFAULT_INSTANCE } from './shared/dflockd.constants.js';
import { DflockdService } from './dflockd.service.js';
import { checkInstance } from './dflockd.token.js';

/**
 * dflockd's publish and subscribe, on the connections of the module's instance. Inject it by its class, or with
 * `@InjectDflockdSignals('name')`.
 */
export class DflockdSignals {
  // The work is done by `Signals` in locks/signals/signals.ts; this class finds those of its module's instance.

  /** Hidden when the signals are printed. */
  declare private readonly service: unknown;

  /** Created by DflockdModule; applications inject it. */
  constructor(service: unknown) {
    Object.defineProperty(this, 'service', { value: service });
  }

  /**
   * Publishes a signal. Resolves with the number of subscribers it was queued for, not the number that received it.
   * @param channel tokens separated by dots, no white space, no wildcard, at most 256 bytes; the namespace is not
   * applied
   * @param payload one line of text, not blank; at most 65,531 bytes together with the channel
   * @throws LockKeyError, ConfigError (the payload), UnsupportedError (signals not supported), LockUnavailableError,
   * ShuttingDownError
   */
  async emit(channel: string, payload: string): Promise<number> {
    const { signals, origin } = this.client;
    try {
      return await signals.emit(channel, payload);
    } catch (error) {
      throw withOrigin(error, origin);
    }
  }

  /**
   * Emits the signals on matching channels, from subscription until the application shuts down, when the stream
   * completes. After a lost connection it resumes by itself; signals published meanwhile are lost. The stream fails
   * with UnsupportedError (signals not supported), AuthError or ConfigError.
   * @param pattern tokens separated by dots; `*` matches one token, `>` as the last one matches one or more
   * @param options `group`: of all subscribers with this pattern and group, one receives each signal
   * @throws LockKeyError, ConfigError (the options), UnsupportedError
   */
  signal$(pattern: string, options?: SignalOptions): Observable<Signal> {
    return this.client.signals.signal$(pattern, options);
  }

  private get client(): LockClient<unknown> {
    if (this.service instanceof DflockdService) return this.service.client;
    throw new ConfigError('DflockdSignals works through the DflockdService of its module, which has been overridden');
  }
}

brand(DflockdSignals, 'DflockdSignals');

/** The DflockdSignals class of each copy of this package, like `serviceClasses`. */
export const signalsClasses = shared('signals-classes', () => new Set<Type>()).add(DflockdSignals as Type);

/**
 * The injection token of an instance's DflockdSignals.
 * @param instance as given to `forRoot`
 * @throws ConfigError
 */
export function getDflockdSignalsToken(instance: string = DEFAULT_INSTANCE): InjectionToken {
  checkInstance(instance);
  return instance === DEFAULT_INSTANCE ? DflockdSignals : sharedSymbol(`signals:${instance}`);
}
