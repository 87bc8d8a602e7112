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
  /** Not shown where the signals are printed. */
  declare private readonly service: unknown;

  /** Made by DflockdModule; applications inject it. */
  constructor(service: unknown) {
    Object.defineProperty(this, 'service', { value: service });
  }

  /**
   * Sends a signal. Returns how many listeners' buffers it was put into, which is not how many have got it.
   * @param channel tokens separated by dots, no white space, no wildcard, at most 256 bytes; the namespace is not applied
   * @param payload one line of text, not blank; with the channel at most 65,531 bytes
   * @throws LockKeyError, ConfigError (the payload), UnsupportedError (no signals there), LockUnavailableError,
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
   * The signals on channels that match, from the moment of subscribing until the application shuts down, when the stream
   * completes. After a lost connection they come again by themselves; what was published meanwhile is lost. The stream fails
   * with UnsupportedError (no signals there), AuthError or ConfigError.
   * @param pattern tokens separated by dots; `*` is any one token, `>` as the last one any number of them
   * @param options `group`: of all who listen to the pattern in the same group, one gets each signal
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

/** The DflockdSignals of each copy of this package, as `serviceClasses`. */
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
