import { Observable } from 'rxjs';
import type { LockBackend } from '../../backends/backend.js';
import { ShuttingDownError, UnsupportedError } from '../../common/errors.js';
import { checkNames, checkObject } from '../../common/option-checks.js';
import { checkChannel, checkGroup, checkPattern, checkPayload } from './signal-checks.js';

/** A received signal. */
export interface Signal {
  channel: string;
  payload: string;
}

export interface SignalOptions {
  /** Of all subscribers with the same pattern and the same group, in any process, one receives each signal. */
  group?: string | undefined;
}

/**
 * dflockd's publish and subscribe. Delivery is at most once, to current subscribers; nothing is stored, acknowledged or
 * sent again.
 */
export class Signals {
  readonly #backend: LockBackend;
  readonly #ready: () => Promise<void>;
  /** @param ready resolves when the backend has started @internal */
  constructor(backend: LockBackend, ready: () => Promise<void>) {
    this.#backend = backend;
    this.#ready = ready;
  }

  /**
   * Publishes a signal. Resolves with the number of subscribers it was queued for, not the number that received it.
   * @param channel tokens separated by dots, no white space, no wildcard, at most 256 bytes
   * @param payload one line of text, not blank; at most 65,531 bytes together with the channel
   * @throws LockKeyError, ConfigError (the payload), UnsupportedError (signals not supported), LockUnavailableError,
   * ShuttingDownError
   */
  async emit(channel: string, payload: string): Promise<number> {
    checkChannel(channel);
    checkPayload(channel, payload);
    if (!this.#backend.publish) throw this.unsupported();
    await this.#ready();
    return this.#backend.publish(channel, payload);
  }

  /**
   * Emits the signals on matching channels, from subscription until the client closes, when the stream completes. After
   * a lost connection it resumes by itself; signals published meanwhile are lost. A subscription keeps the process
   * alive. The stream fails with UnsupportedError (signals not supported), AuthError or ConfigError.
   * @param pattern tokens separated by dots; `*` matches one token, `>` as the last one matches one or more
   * @throws LockKeyError, ConfigError (the options), UnsupportedError
   */
  signal$(pattern: string, options: SignalOptions = {}): Observable<Signal> {
    checkPattern(pattern);
    checkNames('', checkObject('options', options), ['group']);
    const { group } = options;
    checkGroup(group);
    const backend = this.#backend;
    if (!backend.subscribe) throw this.unsupported();
    return new Observable((subscriber) =>
      backend.subscribe!(pattern, group, {
        signal: (channel, payload) => subscriber.next({ channel, payload }),
        failed(error) {
          if (error instanceof ShuttingDownError) subscriber.complete();
          else subscriber.error(error);
        },
      }),
    );
  }

  private unsupported(): UnsupportedError {
    return new UnsupportedError(`${this.#backend.name} does not support signals`);
  }
}
