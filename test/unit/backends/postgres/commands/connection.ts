import type { LockError } from '../../../../../lib/common/errors.js';
import { CommandConnection } from '../../../../../lib/backends/postgres/commands/command-connection.js';
import type { SlotTryOp, TryOp } from '../../../../../lib/backends/postgres/commands/commands.js';
import type { AdvisoryId } from '../../../../../lib/backends/postgres/ids/lock-id.js';
import type {
  ServerFacts,
  Session,
  SessionDialer,
  SessionKind,
} from '../../../../../lib/backends/postgres/sessions/session.js';
import type { Released } from '../../../../../lib/backends/backend.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from './model-postgres.js';

/** Connects to the model, unless a test says that it cannot. */
export class ModelDialer implements SessionDialer {
  readonly server = 'model:5432/db';
  readonly facts: ServerFacts | undefined = undefined;
  readonly made: ModelSession[] = [];
  starts = 0;
  attempts = 0;
  /** How many of them a caller waited for. */
  awaited = 0;
  /** Thrown by the next attempts. */
  error: LockError | undefined;
  /** Whether the start makes a second session. */
  hasSpare = false;

  constructor(private readonly postgres: ModelPostgres) {}

  async start(): Promise<{ command: Session; wait: Session | undefined }> {
    this.starts++;
    const command = await this.connect('command');
    return { command, wait: this.hasSpare ? await this.connect('wait') : undefined };
  }

  async connect(kind: SessionKind, isAwaited = false): Promise<ModelSession> {
    this.attempts++;
    if (isAwaited) this.awaited++;
    await Promise.resolve();
    if (this.error) throw this.error;
    const session = this.postgres.connect(kind);
    this.made.push(session);
    return session;
  }

  onDegraded(): void {
    // The dialer of the model has nothing to say.
  }

  close(): void {
    // Nothing is being connected for long.
  }
}

export const SETTINGS = {
  sessionTimeoutMs: 10_000,
  requestTimeoutMs: 5000,
  minDelayMs: 50,
  maxDelayMs: 5000,
  maxWaitConnections: 2,
  idleCloseMs: 0,
};

/** A command connection over the model, and what it says. */
export class Connected {
  readonly clock = new FakeClock();
  readonly events: string[] = [];
  readonly postgres: ModelPostgres;
  readonly dialer: ModelDialer;
  readonly commands: CommandConnection;

  constructor(postgres?: ModelPostgres, settings: Partial<typeof SETTINGS> = {}) {
    this.postgres = postgres ?? new ModelPostgres(this.clock);
    if (postgres) this.clock = postgres.clock;
    this.dialer = new ModelDialer(this.postgres);
    this.commands = new CommandConnection(
      this.dialer,
      { clock: this.clock, entropy: new FakeEntropy() },
      { ...SETTINGS, ...settings },
    );
    const { commands, events } = this;
    commands.onUp((_, isFirst) => events.push(isFirst ? 'up, the first' : 'up'));
    commands.onDown(({ message }) => events.push(`down: ${message}`));
    commands.onFatal(({ message }) => events.push(`fatal: ${message}`));
    commands.onSuspect(() => events.push('suspect'));
    commands.onDegraded((detail) => events.push(`degraded: ${detail}`));
  }

  static async start(postgres?: ModelPostgres): Promise<Connected> {
    const connected = new Connected(postgres);
    await connected.commands.start();
    return connected;
  }

  /** The command session of the moment, or the last one. */
  get session(): ModelSession {
    return this.dialer.made.filter(({ kind }) => kind === 'command').at(-1)!;
  }

  try(id: AdvisoryId): Tried {
    const op = new Tried(id);
    this.commands.try(op);
    return op;
  }

  trySlot(op: Partial<SlotTryOp> = {}): TriedSlot {
    const tried = new TriedSlot(op);
    this.commands.trySlot(tried);
    return tried;
  }

  /** What the release says, once it says something. */
  unlock(id: AdvisoryId, session: Session = this.session): Said {
    const freed = new Freed();
    this.commands.unlock(session, Object.assign(freed, { id }));
    return freed.said;
  }

  /** A lock that is held. */
  async held(id: AdvisoryId): Promise<Tried> {
    const op = this.try(id);
    await this.settle();
    if (op.said !== 'granted') throw new Error(`not granted, but ${op.said}`);
    return op;
  }

  /** Lets what was asked for leave. */
  async turn(): Promise<void> {
    await settlePromises();
  }

  /** Lets everything be answered. */
  async settle(): Promise<void> {
    await settlePromises();
    while (this.session.inFlight && !this.session.isEnded) {
      const before = this.session.inFlight;
      this.session.settle();
      await settlePromises();
      if (this.session.inFlight === before) return;
    }
  }
}

export type Said = Released[];

/** What a release says. */
export class Freed {
  readonly said: Said = [];
  /** Nothing is taken any more. */
  isOver = false;

  over(): void {
    if (this.isOver) throw new Error('over twice');
    if (this.said.some((outcome) => typeof outcome === 'string')) throw new Error('over after it was told');
    this.isOver = true;
  }

  done(outcome: Released): void {
    if (!this.isOver && typeof outcome === 'string') throw new Error(`told ${outcome} before it was over`);
    this.said.push(outcome);
  }
}

/** Told the last once. */
class Told {
  isDropped = false;
  said = '';
  /** It was told so often that its answer is overdue. */
  overdues = 0;
  fence = 0n;
  sentAt = NaN;
  session: Session | undefined;
  error: LockError | undefined;

  refused(): void {
    this.tell('refused');
  }

  dropped(): void {
    this.tell('dropped');
  }

  failed(error: LockError): void {
    this.tell('failed');
    this.error = error;
  }

  overdue(error: LockError): void {
    if (this.said !== '' || this.isDropped) throw new Error(`overdue, although it is ${this.said || 'dropped'}`);
    this.overdues++;
    this.error = error;
  }

  protected tell(said: string): void {
    if (this.said !== '') throw new Error(`told ${said} after ${this.said}`);
    this.said = said;
  }
}

export class Tried extends Told implements TryOp {
  constructor(readonly id: AdvisoryId) {
    super();
  }

  granted(session: Session, fence: bigint, sentAt: number): void {
    this.tell('granted');
    Object.assign(this, { session, fence, sentAt });
  }
}

export class TriedSlot extends Told implements SlotTryOp {
  readonly gate: bigint = 1000n;
  readonly candidates: readonly bigint[] = [1001n, 1002n, 1003n];
  readonly isHead: boolean = false;
  readonly channel = 'dfl3e8';
  readonly since: number | undefined = undefined;
  slot: bigint | undefined;

  constructor(change: Partial<SlotTryOp>) {
    super();
    Object.assign(this, change);
  }

  granted(session: Session, slot: bigint, fence: bigint, sentAt: number): void {
    this.tell('granted');
    Object.assign(this, { session, slot, fence, sentAt });
  }
}
