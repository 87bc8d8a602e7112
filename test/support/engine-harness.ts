import type { Ms } from '../../lib/common/system.js';
import { Engine } from '../../lib/core/engine.js';
import type { Session } from '../../lib/core/session.js';
import { FencedTokens, type FenceSource } from '../../lib/core/tokens.js';
import {
  DEFAULT_ENGINE_OPTIONS,
  type Answer,
  type Command,
  type EngineOptions,
  type OpId,
  type SessionSink,
} from '../../lib/core/types.js';
import type { Kind, Limit } from '../../lib/protocol/messages.js';
import { FakeEntropy } from './fake-clock.js';

/** What requests are about. */
export interface Target {
  kind: Kind;
  key: string;
  limit: Limit;
}

export const lock = (key: string): Target => ({ kind: 'lock', key, limit: 1 });
export const sem = (key: string, limit: Limit): Target => ({ kind: 'sem', key, limit });

/** A request, and what became of it. */
export interface Asked {
  readonly op: OpId;
  readonly peer: Peer;
  /** Undefined while it waits. */
  answer: Answer | undefined;
}

/** A session of the engine under test: sends commands, and keeps what it is told. */
export class Peer implements SessionSink {
  readonly session: Session;
  readonly asked: Asked[] = [];
  /** Signals as `channel payload`. */
  readonly pushed: string[] = [];
  /** How many more signals it can take. */
  room = Infinity;
  evictions = 0;

  constructor(
    private readonly harness: EngineHarness,
    readonly name: string,
  ) {
    this.session = harness.engine.open(this, name);
  }

  send(cmd: Command): Asked {
    const asked: Asked = { op: this.asked.length, peer: this, answer: undefined };
    this.asked.push(asked);
    this.harness.engine.exec(this.session, asked.op, cmd, this.harness.now);
    this.harness.afterUse();
    return asked;
  }

  /** Tries once unless `waitMs` is given. */
  acquire(target: Target, { waitMs = 0, leaseMs = 0 }: { waitMs?: Ms; leaseMs?: Ms } = {}): Asked {
    return this.send({ t: 'acquire', ...target, waitMs, leaseMs });
  }

  enqueue(target: Target, leaseMs: Ms = 0): Asked {
    return this.send({ t: 'enqueue', ...target, leaseMs });
  }

  wait({ kind, key }: Target, waitMs: Ms): Asked {
    return this.send({ t: 'wait', kind, key, waitMs });
  }

  renew({ kind, key }: Target, token: string, leaseMs: Ms = 0): Answer {
    return immediate(this.send({ t: 'renew', kind, key, token, leaseMs }));
  }

  release({ kind, key }: Target, token: string): Answer {
    return immediate(this.send({ t: 'release', kind, key, token }));
  }

  listen(pattern: string, group = ''): Answer {
    return immediate(this.send({ t: 'listen', pattern, group }));
  }

  unlisten(pattern: string, group = ''): Answer {
    return immediate(this.send({ t: 'unlisten', pattern, group }));
  }

  signal(channel: string, payload = 'x'): Answer {
    const asked = this.send({ t: 'signal', channel, payload });
    // In portions, if there is much to do.
    for (let i = 0; i < 1_000 && !asked.answer; i++) this.harness.engine.advance(this.harness.now, this.harness.seen);
    return immediate(asked);
  }

  /** The caller of an operation has gone. */
  cancel({ op }: Asked): boolean {
    const cancelled = this.harness.engine.cancel(this.session, op, this.harness.now);
    this.harness.afterUse();
    return cancelled;
  }

  /** The connection ends. */
  close({ autoRelease = true } = {}): void {
    this.harness.engine.close(this.session, this.harness.now, autoRelease);
    this.harness.afterUse();
  }

  reply(op: OpId, answer: Answer): void {
    const asked = this.asked[op];
    if (!asked) throw new Error(`${this.name}: an answer to operation ${op}, which was never asked`);
    if (asked.answer) throw new Error(`${this.name}: a second answer to operation ${op}: ${answer.s}`);
    if (this.session.closed) throw new Error(`${this.name}: an answer after the close: ${answer.s}`);
    asked.answer = answer;
    this.harness.answered.push(asked);
  }

  push(channel: string, payload: string): boolean {
    if (this.room <= 0) return false;
    this.room--;
    this.pushed.push(`${channel} ${payload}`);
    return true;
  }

  evict(): void {
    this.evictions++;
  }
}

/** When the engine under test is made: no multiple of any interval, so that ticks counted from zero are noticed. */
export const START: Ms = 7_300;

/** An engine on virtual time, with a host that keeps it up to date. */
export class EngineHarness {
  now: Ms = START;
  /** Until when the host has read its input. */
  seen: Ms = START;
  readonly engine: Engine;
  /** Everything that has been answered, in that order. */
  readonly answered: Asked[] = [];
  private peers = 0;

  constructor(options: Partial<EngineOptions> = {}, lastFence = 0n, fences?: FenceSource) {
    const tokens = new FencedTokens(new FakeEntropy(), lastFence, fences);
    this.engine = new Engine({ ...DEFAULT_ENGINE_OPTIONS, ...options }, tokens, START);
  }

  /** Called whenever the engine has been used. */
  afterUse: () => void = () => undefined;

  peer(name = `peer ${++this.peers}`): Peer {
    return new Peer(this, name);
  }

  /** Time passes, and the host calls the engine exactly when it asks for it. */
  advance(ms: Ms): void {
    const until = this.now + ms;
    this.eachWake(until, (wake) => {
      this.now = Math.max(this.now, wake);
      this.engine.advance(this.now, wake);
    });
    this.now = this.seen = until;
  }

  /** Lets time pass until `sinceStart` milliseconds of the engine's life are over. */
  advanceTo(sinceStart: Ms): void {
    this.advance(START + sinceStart - this.now);
  }

  /** Time passes, and the host calls the engine once, late. */
  jump(ms: Ms): void {
    this.now += ms;
    this.seen = this.now;
    this.engine.advance(this.now, this.seen);
  }

  /** The process stalls: time passes, the host reads nothing, and the engine is not called. */
  stall(ms: Ms): void {
    this.now += ms;
  }

  /** The host has read what arrived until `now`, and tells the engine so, one wake after the other. */
  catchUp(): void {
    this.eachWake(this.now, (wake) => this.engine.advance(this.now, wake));
    this.seen = this.now;
  }

  drain(): void {
    this.engine.drain(this.now);
  }

  stats(connections = 0): Stats {
    return JSON.parse(this.engine.stats(connections, this.now)) as Stats;
  }

  private eachWake(until: Ms, look: (wake: Ms) => void): void {
    for (let looks = 0, wake = this.engine.nextWake(); wake <= until; wake = this.engine.nextWake()) {
      if (++looks > 2_000) throw new Error(`the engine asks to be woken at ${wake} again and again`);
      look(wake);
    }
  }
}

/** The object of a `stats` reply. */
export interface Stats {
  connections: number;
  locks: { key: string; owner_conn_id: number; lease_expires_in_s: number; waiters: number }[];
  semaphores: { key: string; limit: number; holders: number; waiters: number }[];
  idle_locks: { key: string; idle_s: number }[];
  idle_semaphores: { key: string; idle_s: number }[];
  signal_channels: { pattern: string; group?: string; listeners: number }[];
}

/** The answer of a request that never waits. */
function immediate({ answer }: Asked): Answer {
  if (!answer) throw new Error('not answered at once');
  return answer;
}

/** The token of a request that was granted. */
export function tokenOf({ answer, peer, op }: Asked): string {
  if (answer?.s !== 'granted' && answer?.s !== 'acquired') {
    throw new Error(`operation ${op} of ${peer.name} was not granted: ${answer?.s ?? 'it waits'}`);
  }
  return answer.token;
}
