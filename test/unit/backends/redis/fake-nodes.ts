import type { Connection, ConnectionEvents, Dialer } from '../../../../lib/backends/redis/drivers/connection.js';
import type { DriverListener } from '../../../../lib/backends/redis/drivers/driver.js';
import type { DriverSettings } from '../../../../lib/backends/redis/drivers/settings.js';
import type { LockError } from '../../../../lib/common/errors.js';
import { FakeClock } from '../../../support/fake-clock.js';

export const NEVER = new Promise<never>(() => undefined);

/** A server that a test plays: what it answers, and what it was asked. */
export class FakeNode {
  /** As `commands: EVAL …`. */
  readonly asked: string[] = [];
  readonly live: { role: string; events: ConnectionEvents }[] = [];
  info: Readonly<Record<string, string>> = { redis_version: '7.0.15', role: 'master' };
  /** Why it lets nobody in. */
  refusal: Error | undefined;
  /** Undefined: OK. */
  answer: (words: string, role: string) => unknown = () => undefined;

  constructor(readonly address: string) {}

  dialer(more: Partial<Dialer> = {}): Dialer {
    return {
      server: this.address,
      keyPrefix: '',
      isSentinel: false,
      writesAtOnce: false,
      timeoutMs: 1_000,
      dial: (role, events) => this.dial(role, events),
      ...more,
    };
  }

  /** What it was asked since, except what each new connection asks. */
  heard(): string[] {
    return this.asked.splice(0).filter((words) => !words.endsWith(': INFO'));
  }

  /** The connections end, as far as they are of this kind. */
  drop(role = ''): void {
    for (const { events, role: of } of [...this.live])
      if (of.startsWith(role)) events.closed(new Error('read ECONNRESET'));
  }

  publish(channel: string, text: string): void {
    for (const { events } of this.live) events.message(channel, text);
  }

  private dial(role: string, events: ConnectionEvents): Connection {
    const one = { role, events };
    const reply = async (words: string): Promise<unknown> => {
      this.asked.push(`${role}: ${words}`);
      if (words === 'INFO')
        return Object.entries(this.info)
          .map((line) => line.join(':'))
          .join('\r\n');
      const answer = this.answer(words, role);
      if (answer instanceof Error) throw answer;
      return answer ?? 'OK';
    };
    if (!this.refusal) this.live.push(one);
    return {
      ready: this.refusal ? Promise.reject(this.refusal) : Promise.resolve(),
      call: (args) => reply(args.join(' ')),
      subscribe: (channel, isSharded) => reply(`${isSharded ? 'SSUBSCRIBE' : 'SUBSCRIBE'} ${channel}`),
      unsubscribe: (channel, isSharded) => reply(`${isSharded ? 'SUNSUBSCRIBE' : 'UNSUBSCRIBE'} ${channel}`),
      destroy: async () => {
        const at = this.live.indexOf(one);
        if (at >= 0) this.live.splice(at, 1);
      },
    };
  }
}

/** Says what it was told, in order. */
export class Told implements DriverListener {
  readonly events: string[] = [];
  readonly errors: LockError[] = [];
  up(): void {
    this.events.push('up');
  }
  down(error: LockError): void {
    this.events.push(`down ${error.code}`);
    this.errors.push(error);
  }
  subscribed(channel: string): void {
    this.events.push(`subscribed ${channel}`);
  }
  message(channel: string, text: string): void {
    this.events.push(`${channel}: ${text}`);
  }
  invalidated(keys: readonly string[] | undefined): void {
    this.events.push(`invalidated ${keys?.join(' ') ?? 'any'}`);
  }
  /** Since it was last asked. */
  take(): string[] {
    return this.events.splice(0);
  }
}

/** Connects again within 200 ms. */
export const settingsOn = (clock: FakeClock, more: Partial<DriverSettings> = {}): DriverSettings => ({
  clock,
  entropy: { unit: () => 0.5, fill: () => undefined },
  requestTimeoutMs: 500,
  minDelayMs: 50,
  maxDelayMs: 400,
  watch: false,
  ...more,
});

export const failure = (promise: Promise<unknown>): Promise<LockError> =>
  promise.then(
    () => Promise.reject(new Error('it was answered')),
    (error: LockError) => error,
  );
