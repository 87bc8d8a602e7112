import type { Clock } from '../../../../lib/common/system.js';
import type { LockEvent, LockLostEvent } from '../../../../lib/locks/events/events.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { LockClientOptions } from '../../../../lib/locks/options/options.js';
import { FakeClock, FakeEntropy } from '../../../support/fake-clock.js';
import { FakeBackend } from './fake-backend.js';

type Options = Omit<LockClientOptions, 'backend' | 'servers' | 'remote' | 'embedded'>;

/** A client on virtual time, with a backend that does what a test tells it to. */
export class World<B extends FakeBackend = FakeBackend> {
  readonly clock = new FakeClock({ now: 1000 });
  readonly backend: B;
  readonly client: LockClient<unknown>;
  readonly events: LockEvent[] = [];
  readonly losses: LockLostEvent[] = [];

  constructor(options: Options = {}, Backend: new (clock: Clock) => B = FakeBackend as new (clock: Clock) => B) {
    this.backend = new Backend(this.clock);
    this.client = new LockClient(
      { backend: this.backend, ...options },
      { clock: this.clock, entropy: new FakeEntropy() },
    );
    this.client.events$.subscribe((event) => this.events.push(event));
    this.client.lockLost$.subscribe((event) => this.losses.push(event));
  }

  get log(): readonly string[] {
    return this.backend.log.filter((line) => line !== 'start');
  }

  get types(): string[] {
    return this.events.map((event) => event.type);
  }
}

/** A promise that never settles. */
export const forever = (): Promise<never> => new Promise(() => undefined);

/** A promise for each key, settled when a test says so. */
export class Doors<T> {
  private readonly doors = new Map<string, (value: T) => void>();

  readonly at = (key: string): Promise<T> => new Promise((resolve) => this.doors.set(key, resolve));

  open(key: string, value: T): void {
    this.doors.get(key)!(value);
  }
}

/** A signal that counts who listens for its abort. */
export function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  const listening = new Set<unknown>();
  const add = signal.addEventListener.bind(signal) as (...args: unknown[]) => void;
  const remove = signal.removeEventListener.bind(signal) as (...args: unknown[]) => void;
  Object.assign(signal, {
    addEventListener(type: string, listener: unknown) {
      if (type === 'abort') listening.add(listener);
      add(type, listener);
    },
    removeEventListener(type: string, listener: unknown) {
      if (type === 'abort') listening.delete(listener);
      remove(type, listener);
    },
  });
  return { signal, abort: (reason: unknown) => controller.abort(reason), listeners: () => listening.size };
}
