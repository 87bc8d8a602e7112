import { LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import type { Ms } from '../../../../../lib/common/system.js';
import type {
  Session,
  SessionKind,
  Statement,
  TextRow,
} from '../../../../../lib/backends/postgres/sessions/session.js';
import type { FakeClock } from '../../../../support/fake-clock.js';

/** What one session has of one id: a session may take a lock again, and has to release it as often. */
interface Holds {
  exclusive: number;
  shared: number;
}

/** What the clock of the server says when that of the test begins. */
const START = 1_800_000_000_000_000n;

interface Blocked {
  readonly session: ModelSession;
  readonly id: string;
  readonly go: () => void;
}

/** The advisory locks of Postgres, naively. */
export class ModelPostgres {
  readonly sessions: ModelSession[] = [];
  readonly notified: string[] = [];
  /** Numbers that sessions share. They do not count as held. */
  published: { readonly session: ModelSession; readonly classId: number; readonly objectId: number }[] = [];
  /** Until when. */
  private readonly kept = new Map<string, Ms>();
  /** By id. */
  private readonly locks = new Map<string, Map<ModelSession, Holds>>();
  private queue: Blocked[] = [];
  private micros = START;

  constructor(readonly clock: FakeClock) {}

  connect(kind: SessionKind = 'command'): ModelSession {
    const session = new ModelSession(this, kind, 100 + this.sessions.length);
    this.sessions.push(session);
    return session;
  }

  now(): string {
    const micros = START + BigInt(Math.floor(this.clock.now() * 1000));
    this.micros = micros > this.micros ? micros : this.micros + 1n;
    return String(this.micros);
  }

  /** `id` for each exclusive hold, `id (shared)` for each shared one. */
  heldBy(session: ModelSession): string[] {
    return [...this.locks].flatMap(([id, holders]) => {
      const { exclusive = 0, shared = 0 } = holders.get(session) ?? {};
      return [
        ...Array.from({ length: exclusive }, () => id),
        ...Array.from({ length: shared }, () => `${id} (shared)`),
      ];
    });
  }

  /** How much room it takes in the server's table of locks: what it has, and what it waits for. */
  entriesOf(session: ModelSession): number {
    const waiting = this.queue.filter((blocked) => blocked.session === session);
    return this.heldBy(session).length + waiting.length;
  }

  /** Everything that is held, by whomever. */
  get held(): string[] {
    return this.sessions.flatMap((session) => this.heldBy(session)).sort();
  }

  get blocked(): number {
    return this.queue.length;
  }

  take(session: ModelSession, id: string, mode: keyof Holds = 'exclusive'): boolean {
    const holders = this.locks.get(id) ?? new Map<ModelSession, Holds>();
    for (const [other, { exclusive }] of holders) {
      if (other !== session && (mode === 'exclusive' || exclusive > 0)) return false;
    }
    // A shared one does not overtake who waits.
    if (mode === 'shared' && this.queue.some((blocked) => blocked.id === id)) return false;
    const mine = holders.get(session) ?? { exclusive: 0, shared: 0 };
    mine[mode]++;
    holders.set(session, mine);
    this.locks.set(id, holders);
    return true;
  }

  free(session: ModelSession, id: string, mode: keyof Holds = 'exclusive'): boolean {
    const mine = this.locks.get(id)?.get(session);
    if (!mine || mine[mode] === 0) return false;
    mine[mode]--;
    this.drop(session, id);
    this.serve();
    return true;
  }

  /** The object ids of others under the same name. */
  publish(session: ModelSession, classId: number, objectId: number): string {
    this.published.push({ session, classId, objectId });
    const others = this.published.filter(
      (other) => other.classId === classId && other.objectId !== objectId && other.objectId >> 20 === objectId >> 20,
    );
    return others.map((other) => other.objectId).join();
  }

  unpublish(session: ModelSession, classId: number, objectId: number): string {
    const at = this.published.findIndex(
      (one) => one.session === session && one.classId === classId && one.objectId === objectId,
    );
    if (at >= 0) this.published.splice(at, 1);
    return at >= 0 ? 't' : 'f';
  }

  keep(id: string, ms: Ms): void {
    this.kept.set(id, Math.max(this.kept.get(id) ?? 0, this.clock.now() + ms));
  }

  restOf(id: string): Ms {
    return Math.max((this.kept.get(id) ?? 0) - this.clock.now(), 0);
  }

  freeAll(session: ModelSession): void {
    this.published = this.published.filter((one) => one.session !== session);
    for (const [id, holders] of this.locks) {
      holders.delete(session);
      if (holders.size === 0) this.locks.delete(id);
    }
    this.serve();
  }

  block(blocked: Blocked): void {
    this.queue.push(blocked);
    this.serve();
  }

  unblock(session: ModelSession): boolean {
    const { length } = this.queue;
    this.queue = this.queue.filter((blocked) => blocked.session !== session);
    return this.queue.length < length;
  }

  private drop(session: ModelSession, id: string): void {
    const holders = this.locks.get(id);
    const mine = holders?.get(session);
    if (!holders || !mine || mine.exclusive + mine.shared > 0) return;
    holders.delete(session);
    if (holders.size === 0) this.locks.delete(id);
  }

  private serve(): void {
    for (const blocked of this.queue) {
      if (!this.queue.includes(blocked) || !this.take(blocked.session, blocked.id)) continue;
      this.queue = this.queue.filter((other) => other !== blocked);
      blocked.go();
    }
  }
}

type Outcome = { readonly rows: readonly TextRow[] } | { readonly error: LockError; readonly sqlState: string };

export const CANCELLED = '57014';

/**
 * A session of the model. Nothing happens by itself: `run` makes the server execute the statement in flight, `reply` brings its
 * answer; a statement that blocks is executed when it is granted.
 */
export class ModelSession implements Session {
  readonly server = 'model:5432/db';
  readonly backendStart: string;
  /** Everything that was sent, in order. */
  readonly sent: Statement[] = [];
  isEnded = false;
  isHeld = false;
  provenAt: Ms;
  /** The server has noticed the end. */
  isGone = false;
  private queue: Statement[] = [];
  private outcome: Outcome | undefined;
  private isRunning = false;
  private readonly endings = new Set<(error: LockError) => void>();
  private readonly notices: ((channel: string, payload: string) => void)[] = [];

  constructor(
    private readonly postgres: ModelPostgres,
    readonly kind: SessionKind,
    readonly pid: number,
  ) {
    this.backendStart = `start of ${pid}`;
    this.provenAt = postgres.clock.now();
  }

  /** What is in flight. */
  get inFlight(): Statement | undefined {
    return this.queue[0];
  }

  get isIdle(): boolean {
    return this.queue.length === 0;
  }

  /** Its name without the prefix. */
  get name(): string | undefined {
    return this.inFlight?.name.replace('dflockd_', '');
  }

  get hasReply(): boolean {
    return this.outcome !== undefined;
  }

  provenUntil(): Ms {
    return this.provenAt + 10_000;
  }

  send(statement: Statement): void {
    this.sent.push(statement);
    if (this.isEnded) return statement.ended(new LockUnavailableError('ended'));
    this.queue.push(statement);
    if (this.queue.length === 1) statement.sentAt = this.postgres.clock.now();
  }

  onEnd(callback: (error: LockError) => void): () => void {
    this.endings.add(callback);
    return () => void this.endings.delete(callback);
  }

  onNotice(callback: (channel: string, payload: string) => void): void {
    this.notices.push(callback);
  }

  notify(channel: string): void {
    for (const notice of this.notices) notice(channel, '');
  }

  /** The client has lost it. The server goes on until `gone`. */
  end(error: LockError): void {
    if (this.isEnded) return;
    this.isEnded = true;
    for (const ending of [...this.endings]) ending(error);
    const { queue } = this;
    this.queue = [];
    for (const statement of queue) statement.ended(error);
  }

  /** The server notices the end, which frees everything. */
  gone(): void {
    this.isGone = true;
    this.postgres.unblock(this);
    this.postgres.freeAll(this);
  }

  hold(isWaitedFor: boolean): void {
    this.isHeld = isWaitedFor;
  }

  /**
   * The server executes what is in flight.
   * @param ops after how many ops of a batch it fails, keeping what they took
   */
  run(ops = Infinity, sqlState = CANCELLED): void {
    const statement = this.inFlight;
    if (!statement || this.isRunning || this.isGone) return;
    this.isRunning = true;
    this.execute(statement, ops, sqlState);
  }

  /** The server cancels what is in flight. What blocks may be granted before. */
  cancel(): boolean {
    if (this.isGone) return false;
    if (!this.isRunning || this.outcome) return true;
    this.postgres.unblock(this);
    this.outcome = failure(CANCELLED);
    return true;
  }

  /** The answer arrives. */
  reply(): void {
    const { outcome, inFlight } = this;
    if (!outcome || !inFlight || this.isEnded) return;
    this.outcome = undefined;
    this.isRunning = false;
    this.queue.shift();
    this.provenAt = Math.max(this.provenAt, inFlight.sentAt);
    const [next] = this.queue;
    if (next) next.sentAt = this.postgres.clock.now();
    if ('rows' in outcome) inFlight.answered(outcome.rows);
    else inFlight.failed(outcome.error, outcome.sqlState);
  }

  /** Both, until nothing more can be answered. */
  settle(): void {
    for (;;) {
      this.run();
      if (!this.outcome || this.isEnded) return;
      this.reply();
    }
  }

  /** Answers what is in flight with something of the test's own. */
  answer(rows: readonly TextRow[]): void {
    this.isRunning = true;
    this.outcome = { rows };
    this.reply();
  }

  /** The server refuses what is in flight, without any effect. */
  fail(sqlState = CANCELLED): void {
    this.run(0, sqlState);
    this.outcome = failure(sqlState);
    this.reply();
  }

  private execute({ name, text, values }: Statement, ops: number, sqlState: string): void {
    const { postgres } = this;
    const [first, second] = values as string[];
    // A statement of one op may fail before it or after it.
    if (ops === 0 && name !== 'dflockd_batch') return void (this.outcome = failure(sqlState));
    const single = (text: string | null): void => {
      this.outcome = ops === Infinity ? { rows: [[text]] } : failure(sqlState);
    };
    const block = (id: string): void => postgres.block({ session: this, id, go: () => single(postgres.now()) });
    switch (name.replace('dflockd_', '')) {
      case 'try':
        return single(postgres.take(this, first!) ? postgres.now() : '0');
      case 'unlock':
        return single(postgres.free(this, first!) ? '1' : '0');
      case 'lock':
        return block(first!);
      case 'lock_pair':
        return block(`${first},${second}`);
      case 'unlock_and_lock':
        if (postgres.free(this, first!)) block(first!);
        else single(null);
        return;
      case 'unlock_all':
        postgres.freeAll(this);
        return single('');
      case 'repair': {
        const [exclusive, shared, pairs] = (values as string[]).map(elements);
        for (const id of exclusive!) postgres.free(this, id);
        for (const id of shared!) postgres.free(this, id, 'shared');
        for (const id of pairs!) postgres.free(this, pairOf(id));
        return single('');
      }
      case 'locks':
      case 'batch':
        return this.executeBatch(values as string[], ops, sqlState);
      case 'cancel': {
        const target = postgres.sessions.find(
          ({ pid, backendStart, isGone }) => !isGone && String(pid) === String(first) && backendStart === second,
        );
        if (!target) return void (this.outcome = { rows: [] });
        return single(target.cancel() ? '1' : '0');
      }
      case 'terminate':
        postgres.sessions.find(({ pid }) => String(pid) === String(first))?.gone();
        return single('t');
      case 'activity': {
        const asked = elements(first!).map((pid, i) => `${pid} "${elements(second!)[i]!.slice(1, -1)}"`);
        const there = postgres.sessions.filter(
          ({ pid, backendStart, isGone }) => !isGone && asked.includes(`${pid} "${backendStart}"`),
        );
        this.outcome = {
          rows: there.map((session) => [String(session.pid), session.isActive ? 'active' : 'idle']),
        };
        return;
      }
      case 'prove':
        return single('1');
      case 'publish':
        return single(postgres.publish(this, Number(first), Number(second)));
      case 'unpublish':
        return single(postgres.unpublish(this, Number(first), Number(second)));
      case 'look': {
        const rests = elements(first!).map((id): TextRow => [id, String(postgres.restOf(id))]);
        return void (this.outcome =
          ops === Infinity ? { rows: rests.filter(([, rest]) => Number(rest) > 0) } : failure(sqlState));
      }
      case 'is_held': {
        const id = BigInt.asIntN(64, (BigInt(first!) << 32n) | BigInt(second!));
        return single(postgres.held.includes(String(id)) ? 't' : 'f');
      }
      case 'keep':
        if (values[2] === true) postgres.keep(first!, Number(second));
        return void (this.outcome = ops === Infinity ? { rows: [] } : failure(sqlState));
      case '':
        return single(text);
      default:
        throw new Error(`the model does not know ${name}`);
    }
  }

  /** Whether a statement of it runs on the server. */
  get isActive(): boolean {
    return this.isRunning && !this.outcome;
  }

  private executeBatch(values: readonly string[], ops: number, sqlState: string): void {
    const [codes, xs, ys, texts] = values.map(elements);
    const outcomes: string[] = [];
    for (let i = 0; i < codes!.length; i++) {
      if (i === ops) {
        // It may have got as far as the gate.
        if (codes![i] === '2') this.postgres.take(this, xs![i]!, 'shared');
        return void (this.outcome = failure(sqlState));
      }
      outcomes.push(this.executeOp(codes![i]!, xs![i]!, ys?.[i] ?? '', (texts?.[i] ?? '').replaceAll('"', '')));
    }
    this.outcome = ops < Infinity ? failure(sqlState) : { rows: [[outcomes.join(',')]] };
  }

  private executeOp(code: string, x: string, y: string, text: string): string {
    const { postgres } = this;
    const firstFree = (): string => text.split(';').find((slot) => postgres.take(this, slot)) ?? '-';
    switch (code) {
      case '0':
        return postgres.free(this, x) ? '1' : '0';
      case '1':
        return postgres.take(this, x) ? postgres.now() : '0';
      case '2': {
        if (!postgres.take(this, x, 'shared')) return '-';
        const outcome = `${firstFree()}/${postgres.now()}`;
        return `${outcome}/${postgres.free(this, x, 'shared')}`;
      }
      case '3': {
        const isFreed = postgres.free(this, x) ? '1' : '0';
        if (postgres.take(this, y, 'shared')) return `${isFreed}${postgres.free(this, y, 'shared')}`;
        postgres.notified.push(text);
        return isFreed;
      }
      case '4':
        return `${firstFree()}/${postgres.now()}`;
      case '5':
        return postgres.take(this, `${x},${y}`) ? postgres.now() : '0';
      case '6':
        return postgres.free(this, `${x},${y}`) ? '1' : '0';
      default:
        throw new Error(`the model does not know op ${code}`);
    }
  }
}

function pairOf(id: string): string {
  const all = BigInt(id || 0);
  return `${BigInt.asIntN(32, all >> 32n)},${BigInt.asIntN(32, all)}`;
}

const elements = (literal: string): string[] => literal.slice(1, -1).split(',');

const failure = (sqlState: string): Outcome => ({
  error: new LockUnavailableError(`failed with ${sqlState}`),
  sqlState,
});
