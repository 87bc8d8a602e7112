import { Observable } from 'rxjs';
import type { LockBackend } from '../../backends/backend.js';
import { ShuttingDownError, UnsupportedError } from '../../common/errors.js';
import { checkNames, checkObject } from '../../common/option-checks.js';
import { checkChannel, checkGroup, checkPattern, checkPayload } from './signal-checks.js';

/** A signal as it arrived. */
export interface Signal {
  channel: string;
  payload: string;
}

export interface SignalOptions {
  /** Of all who listen to the same pattern in the same group, anywhere, one gets each signal. */
  group?: string | undefined;
}

/**
 * dflockd's publish and subscribe. Who listens when something is published gets it, at most once; nothing is stored,
 * acknowledged or sent again.
 */
export class Signals {
  readonly #backend: LockBackend;
  readonly #ready: () => Promise<void>;
  /** @param ready resolves when the backend has been started @internal */
  constructor(backend: LockBackend, ready: () => Promise<void>) {
    this.#backend = backend;
    this.#ready = ready;
  }

  /**
   * Sends a signal. Returns how many listeners' buffers it was put into, which is not how many have got it.
   * @param channel tokens separated by dots, no white space, no wildcard, at most 256 bytes
   * @param payload one line of text, not blank; with the channel at most 65,531 bytes
   * @throws LockKeyError, ConfigError (the payload), UnsupportedError (no signals there), LockUnavailableError,
   *   ShuttingDownError
   */
  async emit(channel: string, payload: string): Promise<number> {
    checkChannel(channel);
    checkPayload(channel, payload);
    if (!this.#backend.publish) throw this.unsupported();
    await this.#ready();
    return this.#backend.publish(channel, payload);
  }

  /**
   * The signals on channels that match, from the moment of subscribing until the client closes, when the stream completes.
   * After a lost connection they come again by themselves; what was published meanwhile is lost. A subscription keeps the
   * process alive. The stream fails with UnsupportedError (no signals there), AuthError or ConfigError.
   * @param pattern tokens separated by dots; `*` is any one token, `>` as the last one any number of them
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
    return new UnsupportedError(`${this.#backend.name} has no signals`);
  }
}
