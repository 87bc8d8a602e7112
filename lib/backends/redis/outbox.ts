import { type LockError, ProtocolError } from '../../common/errors.js';
import { afterMicrotasks, type Ms } from '../../common/system.js';
import type { Call, Calls } from './calls.js';
import type { KnownKeys, Op } from './op.js';
import type { SemaphoreKeys } from './scripts/companion-keys.js';
import type { Script } from './scripts/script.js';
import { singleAcquireScript, singleReleaseScript } from './scripts/single-scripts.js';

/** Ops in one call: more make callers move in lock-step, and block Redis for longer. */
const MAX_OPS = 32;

/** From this many on, ops leave in two calls if Redis begins with the first call while the second is being made. */
const DIVIDED_OPS = 6;

export interface OutboxContext {
  readonly calls: Calls;
  readonly server: string;
  /** In a cluster, what is done in one call is done in one slot. */
  readonly isCluster: boolean;
  /** Whether the server begins with a call while the next one of the same turn is still being made. */
  readonly writesAtOnce: boolean;
  readonly livenessMs: Ms;
  /** The id of this client; known when the first op is sent. */
  readonly client: () => string;
  readonly eval: (script: Script, keys: readonly string[], args: readonly string[]) => Promise<unknown>;
  /** What an op was answered: `['E', text]`. */
  readonly opError: (text: string, op: Op) => LockError;
}

/** How the script of locks reads an op. */
export const addLock = (keys: string[], args: string[], { keys: of, op, x, y }: Op): void => {
  keys.push(of.key, of.queue, of.alive);
  args.push(op, x, y);
};

/** How the script of semaphores reads it. */
export const addSemaphore = (keys: string[], args: string[], { keys: of, op, x, y, limit }: Op): void => {
  keys.push(of.key, of.queue, of.alive, (of as SemaphoreKeys).limit);
  args.push(op, x, y, String(limit));
};

/** A request that carries one op. */
export interface SingleCall {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** What does for the op alone, in the usual case: it is answered nil in any other. */
export function singleOf({ keys, op, x, y }: Op): SingleCall | undefined {
  // Where others are, that would cost a round trip more.
  if (keys.isContended) return undefined;
  if (op === 'q' || op === 't') {
    return { script: singleAcquireScript, keys: [keys.fence, keys.key, keys.queue], args: [x, y] };
  }
  if (op === 'r' && y === '0') return { script: singleReleaseScript, keys: [keys.key, keys.queue], args: [x] };
  return undefined;
}

/**
 * The ops for locks, or for semaphores. Those of one turn of the event loop share calls: all of them if the driver gathers a turn's calls,
 * otherwise all but the first, in two calls.
 */
export class Outbox {
  /** How many ops have been sent. */
  count = 0;
  private ops: Op[] = [];
  /** Whether ops of this turn are being collected. */
  private isOpen = false;

  /**
   * @param addTo the keys and arguments of an op, as the script reads them
   * @param single what may be sent for an op alone
   */
  constructor(
    private readonly context: OutboxContext,
    private readonly script: Script,
    private readonly addTo: (keys: string[], args: string[], op: Op) => void,
    private readonly single: (op: Op) => SingleCall | undefined = () => undefined,
  ) {}

  push(op: Op): void {
    op.sentAt = NaN;
    op.isDropped = false;
    if (op.keys.behind) return void op.keys.behind.push(op);
    if (this.isOpen) return void this.ops.push(op);
    this.isOpen = true;
    afterMicrotasks(this.flush);
    // If Redis begins with it at once, the first op does not wait for the rest of this turn. Nor does a release that lets somebody in.
    if (this.context.writesAtOnce || (op.op === 'r' && op.keys.isContended)) this.sendAll([op]);
    else this.ops.push(op);
  }

  private readonly flush = (): void => {
    const { ops } = this;
    this.isOpen = false;
    if (ops.length === 0) return;
    this.ops = [];
    if (this.context.isCluster) for (const group of bySlot(ops)) this.sendAll(group);
    else this.sendAll(ops);
  };

  private sendAll(ops: readonly Op[]): void {
    const isDivided = this.context.writesAtOnce && ops.length >= DIVIDED_OPS;
    const most = isDivided ? Math.min(MAX_OPS, Math.ceil(ops.length / 2)) : MAX_OPS;
    let batch: Op[] = [];
    for (const op of ops) {
      if (op.isDropped) continue;
      if (batch.push(op) < most) continue;
      this.count += batch.length;
      this.send(batch);
      batch = [];
    }
    if (batch.length === 0) return;
    this.count += batch.length;
    const single = batch.length === 1 ? this.single(batch[0]!) : undefined;
    if (single) this.sendSingle(batch[0]!, single);
    else this.send(batch);
  }

  private sendSingle(op: Op, { script, keys, args }: SingleCall): void {
    // Later acquires must not enter the queue before this one. They may pass a release.
    const behind: Op[] | undefined = op.op === 'r' ? undefined : [];
    const call: Call = {
      sentAt: 0,
      answered: (reply) => {
        // If this one has taken the lock, those behind it will not find it free.
        if (reply === null || behind?.length) op.keys.isContended = true;
        if (reply !== null) op.answered(reply);
        else if (!op.isDropped) this.send([op]);
        if (behind) this.sendBehind(op.keys, behind);
      },
      failed: (error) => {
        tell(op, error);
        if (behind) this.sendBehind(op.keys, behind);
      },
    };
    if (behind) op.keys.behind = behind;
    this.context.calls.send(call, () => {
      op.sentAt = call.sentAt;
      return this.context.eval(script, keys, args);
    });
  }

  private sendBehind(keys: KnownKeys, behind: readonly Op[]): void {
    keys.behind = undefined;
    for (const op of behind) if (!op.isDropped) this.push(op);
  }

  private send(ops: readonly Op[]): void {
    const { context, script, addTo } = this;
    const [{ keys: first }] = ops as readonly [Op];
    const keys = [first.fence];
    const args = [context.client(), String(context.livenessMs), first.tag];
    for (const op of ops) addTo(keys, args, op);
    const batch = new Batch(ops, context);
    context.calls.send(batch, () => {
      for (const op of ops) op.sentAt = batch.sentAt;
      return context.eval(script, keys, args);
    });
  }
}

function bySlot(ops: readonly Op[]): Iterable<Op[]> {
  const slots = new Map<string, Op[]>();
  for (const op of ops) {
    const { tag } = op.keys;
    const group = slots.get(tag);
    if (group) group.push(op);
    else slots.set(tag, [op]);
  }
  return slots.values();
}

/** The ops of one call. */
class Batch implements Call {
  sentAt: Ms = 0;

  constructor(
    private readonly ops: readonly Op[],
    private readonly context: OutboxContext,
  ) {}

  answered(replies: unknown): void {
    const { ops } = this;
    if (!Array.isArray(replies) || replies.length !== ops.length) {
      const { server } = this.context;
      return this.failed(new ProtocolError('the script answered something else than it should', { server }));
    }
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      const reply: unknown = replies[i];
      if (Array.isArray(reply) && reply[0] === 'E') tell(op, this.context.opError(String(reply[1]), op));
      else {
        if (op.op === 'q' || op.op === 't') op.keys.isContended = typeof reply !== 'string';
        op.answered(reply);
      }
    }
  }

  failed(error: LockError): void {
    for (const op of this.ops) tell(op, error);
  }
}

function tell(op: Op, error: LockError): void {
  if (error.isTransient) op.unanswered(error);
  else op.refused(error);
}
