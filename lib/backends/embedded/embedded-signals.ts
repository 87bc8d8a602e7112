import { ShuttingDownError, UnsupportedError } from '../../common/errors.js';
import { type Clock, microtask } from '../../common/system.js';
import type { EngineDriver, Woken } from '../../core/driver.js';
import type { Session } from '../../core/session.js';
import type { Answer, Command, SessionSink } from '../../core/types.js';
import { fromBytes, toBytes } from '../../protocol/bytes.js';
import { ChannelRouter } from '../../protocol/channel-router.js';
import type { Push } from '../../protocol/messages.js';
import type { SignalTaker } from '../backend.js';
import { EmbeddedSession } from './embedded-session.js';
import { EMBEDDED } from './embedded-grant.js';

/** A listener in this process. It gets signals when the engine has finished its work, and is never too slow. */
class SignalSession implements SessionSink, Woken {
  readonly session: Session;
  private heard: Push[] = [];
  private answer: Answer | undefined;

  constructor(
    private readonly driver: EngineDriver,
    private readonly clock: Clock,
    private readonly pushed: (push: Push) => void,
  ) {
    this.session = driver.engine.open(this, EMBEDDED);
  }

  /** Executes a command that never waits, so the answer comes at once. */
  ask(command: Command): Answer {
    this.driver.engine.exec(this.session, 0, command, this.clock.now());
    this.driver.touch();
    return this.answer!;
  }

  close(): void {
    this.heard = [];
    this.driver.engine.close(this.session, this.clock.now(), true);
  }

  /** SessionSink */
  reply(_op: number, answer: Answer): void {
    this.answer = answer;
  }

  /** SessionSink */
  push(channel: string, payload: string): boolean {
    if (this.heard.push({ channel, payload }) === 1) this.driver.wake(this);
    return true;
  }

  /** SessionSink */
  evict(): void {
    // Only a session that refuses a push is evicted.
  }

  /** Woken. Deferred, because listeners may use the engine, and the driver is still resuming sessions. */
  resume(): void {
    microtask(() => {
      const { heard } = this;
      this.heard = [];
      for (const push of heard) this.pushed(push);
    });
  }
}

/**
 * Signals of the engine in this process. Listeners without a group share a session, and each member of a group has its
 * own: for the same reason, and with the same effect, as on connections.
 */
export class EmbeddedSignals {
  private readonly router = new ChannelRouter<SignalTaker>();
  private shared: SignalSession | undefined;
  private readonly members = new Map<SignalSession, SignalTaker>();
  private readonly publisher: EmbeddedSession;
  private closed = false;

  constructor(
    private readonly driver: EngineDriver,
    private readonly clock: Clock,
  ) {
    this.publisher = new EmbeddedSession(driver, clock);
  }

  /** Resolves with the number of copies once they are made. Rejects with ShuttingDownError. */
  publish(channel: string, payload: string): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new ShuttingDownError({ server: EMBEDDED }));
      this.publisher.exec({ t: 'signal', channel: toBytes(channel), payload: toBytes(payload) }, (answer) => {
        if (answer.s === 'delivered') resolve(answer.count);
        else reject(new ShuttingDownError({ server: EMBEDDED }));
      });
    });
  }

  subscribe(pattern: string, group: string, taker: SignalTaker): () => void {
    if (this.closed) {
      taker.failed(new ShuttingDownError({ server: EMBEDDED }));
      return () => undefined;
    }
    return group === '' ? this.join(toBytes(pattern), taker) : this.enlist(toBytes(pattern), toBytes(group), taker);
  }

  close(): void {
    this.closed = true;
    const takers = [...this.router.all(), ...this.members.values()];
    this.publisher.close();
    for (const session of [this.shared, ...this.members.keys()]) session?.close();
    this.router.clear();
    this.members.clear();
    for (const taker of takers) taker.failed(new ShuttingDownError({ server: EMBEDDED }));
  }

  private join(pattern: string, taker: SignalTaker): () => void {
    const session = (this.shared ??= new SignalSession(this.driver, this.clock, ({ channel, payload }) => {
      for (const each of this.router.route(channel)) each.signal(fromBytes(channel), fromBytes(payload));
    }));
    if (this.router.add(pattern, taker) && session.ask({ t: 'listen', pattern, group: '' }).s !== 'ok') {
      this.router.remove(pattern, taker);
      taker.failed(new UnsupportedError('this process has reached the limit of signal patterns', { server: EMBEDDED }));
      return () => undefined;
    }
    return () => {
      if (!this.router.remove(pattern, taker)) return;
      if (this.router.size > 0) return void session.ask({ t: 'unlisten', pattern, group: '' });
      session.close();
      this.shared = undefined;
    };
  }

  private enlist(pattern: string, group: string, taker: SignalTaker): () => void {
    const session = new SignalSession(this.driver, this.clock, ({ channel, payload }) =>
      taker.signal(fromBytes(channel), fromBytes(payload)),
    );
    this.members.set(session, taker);
    session.ask({ t: 'listen', pattern, group });
    return () => {
      if (this.members.delete(session)) session.close();
    };
  }
}
