import type { Ms } from '../../lib/common/system.js';
import { Engine } from '../../lib/core/engine.js';
import type { Session } from '../../lib/core/session.js';
import type { Answer, Command, EngineOptions, OpId, SessionSink, TokenSource } from '../../lib/core/types.js';
import type { OlderBehaviour } from './older-behaviour.js';

type EngineBehaviour = Pick<
  OlderBehaviour,
  'noSignals' | 'oneNamespace' | 'staleGrants' | 'drainGoesOn' | 'deadStay' | 'wrongTokenIsUse'
>;

const named = (cmd: { kind: string; key: string }): string => `${cmd.kind} ${cmd.key}`;

/** Between the engine and a session: changes answers to what they used to be. */
class OlderSink implements SessionSink {
  /** Executed and not answered. */
  readonly open = new Map<OpId, Command>();
  /** Leases of the queued enqueues that no `wait` has taken, by resource. */
  readonly queued = new Map<string, Ms>();
  /** The connection is gone, and nobody has told the engine. */
  deaf = false;
  lastAnswer: Answer['s'] | undefined;

  constructor(
    private readonly session: SessionSink,
    private readonly behaviour: EngineBehaviour,
    private readonly options: EngineOptions,
    private readonly tokens: TokenSource,
  ) {}

  reply(op: OpId, answer: Answer): void {
    const cmd = this.open.get(op)!;
    this.open.delete(op);
    this.lastAnswer = answer.s;
    if (!this.deaf) this.session.reply(op, this.older(cmd, answer));
  }

  push(channel: string, payload: string): boolean {
    return this.session.push(channel, payload);
  }

  evict(): void {
    this.session.evict();
  }

  private older(cmd: Command, answer: Answer): Answer {
    if (this.behaviour.staleGrants && cmd.t === 'enqueue' && answer.s === 'queued') {
      this.queued.set(named(cmd), cmd.leaseMs || this.options.defaultLeaseMs);
    }
    const leaseMs = cmd.t === 'wait' ? this.queued.get(named(cmd)) : undefined;
    if (cmd.t === 'wait' && answer.s !== 'error') this.queued.delete(named(cmd));
    // Nobody has ever seen the token of the grant that lapsed, so that any will do.
    if (leaseMs !== undefined && (answer.s === 'lease_expired' || answer.s === 'not_enqueued')) {
      return { s: 'granted', token: this.tokens.next()!, leaseMs };
    }
    return answer.s === 'cancelled' ? { s: 'error' } : answer;
  }
}

/** A sink that keeps the token it is given. */
class TokenNote implements SessionSink {
  token = '';

  reply(_op: OpId, answer: Answer): void {
    if (answer.s === 'granted') this.token = answer.token;
  }

  push(): boolean {
    return false;
  }

  evict(): void {}
}

/** The lock engine with the rules of older daemons. */
export class OlderEngine extends Engine {
  private readonly all = new Set<Session>();
  private drains = false;

  constructor(
    private readonly behaviour: EngineBehaviour,
    private readonly engineOptions: EngineOptions,
    private readonly tokenSource: TokenSource,
    now: Ms,
  ) {
    super(engineOptions, tokenSource, now);
  }

  override open(sink: SessionSink, peer: string): Session {
    const session = super.open(new OlderSink(sink, this.behaviour, this.engineOptions, this.tokenSource), peer);
    this.all.add(session);
    return session;
  }

  override exec(session: Session, op: OpId, given: Command, now: Ms): void {
    const cmd = this.behaviour.oneNamespace && 'kind' in given ? { ...given, kind: 'sem' as const } : given;
    const sink = session.sink as OlderSink;
    sink.open.set(op, cmd);
    if (cmd.t === 'enqueue' && sink.queued.has(named(cmd))) return sink.reply(op, { s: 'already_enqueued' });
    super.exec(session, op, cmd, now);
    if (this.drains && sink.open.has(op)) this.cancel(session, op, now);
    const wrongToken = (cmd.t === 'release' || cmd.t === 'renew') && sink.lastAnswer === 'error';
    if (wrongToken && this.behaviour.wrongTokenIsUse) this.use(cmd, now);
  }

  override close(session: Session, now: Ms, releaseHeld: boolean): void {
    if (releaseHeld || !this.behaviour.deadStay) {
      this.all.delete(session);
      super.close(session, now, releaseHeld);
    } else {
      (session.sink as OlderSink).deaf = true;
    }
  }

  override drain(now: Ms): void {
    if (!this.behaviour.drainGoesOn) return super.drain(now);
    this.drains = true;
    for (const session of this.all) {
      for (const op of [...(session.sink as OlderSink).open.keys()]) this.cancel(session, op, now);
    }
  }

  /** Older daemons make every reply in one go. */
  override get statsSize(): number {
    return 0;
  }

  override stats(connections: number, now: Ms): string {
    const json = super.stats(connections, now);
    return this.behaviour.noSignals ? json.replace(/,"signal_channels":\[.*\]\}$/, '}') : json;
  }

  /** Takes an idle key and frees it again, which starts its idle time anew. */
  private use({ kind, key }: Extract<Command, { kind: unknown }>, now: Ms): void {
    const res = this.table.get(kind, key);
    if (res?.idleSince === undefined) return;
    const sink = new TokenNote();
    const nobody = super.open(sink, 'nobody');
    super.exec(nobody, 1, { t: 'acquire', kind, key, limit: res.limit, waitMs: 0, leaseMs: 0 }, now);
    super.exec(nobody, 2, { t: 'release', kind, key, token: sink.token }, now);
    super.close(nobody, now, true);
  }
}
