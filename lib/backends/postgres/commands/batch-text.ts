import type { AdvisoryId } from '../ids/lock-id.js';
import { OPS, type Prepared, STATEMENTS } from './statements.js';

type OpCode = (typeof OPS)[keyof typeof OPS];

/** The parameters of a batch, as array literals: the driver would quote every element. */
export class BatchText {
  size = 0;
  private codes = '';
  private xs = '';
  private ys = '';
  private texts = '';
  /** Only tries and releases of locks so far. */
  private isPlain = true;

  tryLock(id: AdvisoryId): void {
    this.lockOp(id, OPS.try, OPS.tryPair);
  }

  unlock(id: AdvisoryId): void {
    this.lockOp(id, OPS.unlock, OPS.unlockPair);
  }

  trySlot(gate: bigint, isHead: boolean, candidates: readonly bigint[]): void {
    this.add(isHead ? OPS.trySlotAsHead : OPS.trySlot, gate, 0, candidates.join(';'));
  }

  freeSlot(slot: bigint, gate: bigint, channel: string): void {
    this.add(OPS.freeSlot, slot, gate, channel);
  }

  /** The cheapest statement that does it. */
  get statement(): Prepared {
    if (!this.isPlain) return STATEMENTS.batch;
    if (this.size > 1) return STATEMENTS.locks;
    return this.codes === `,${OPS.try}` ? STATEMENTS.try : STATEMENTS.unlock;
  }

  get values(): string[] {
    const { codes, xs, ys, texts } = this;
    const { name } = this.statement;
    if (name === STATEMENTS.batch.name) return [codes, xs, ys, texts].map(literal);
    return name === STATEMENTS.locks.name ? [literal(codes), literal(xs)] : [xs.slice(1)];
  }

  private lockOp(id: AdvisoryId, single: OpCode, pair: OpCode): void {
    if (typeof id !== 'bigint') return this.add(pair, id[0], id[1], '');
    this.size++;
    this.codes += `,${single}`;
    this.xs += `,${id}`;
    // Empty ones are made up for if a batch turns out to need them.
    if (!this.isPlain) this.fill(this.size);
  }

  private add(code: OpCode, x: bigint | number, y: bigint | number, text: string): void {
    this.fill(this.size);
    this.isPlain = false;
    this.size++;
    this.filled++;
    this.codes += `,${code}`;
    this.xs += `,${x}`;
    this.ys += `,${y}`;
    this.texts += `,"${text}"`;
  }

  private filled = 0;

  private fill(to: number): void {
    for (; this.filled < to; this.filled++) {
      this.ys += ',0';
      this.texts += ',""';
    }
  }
}

const literal = (joined: string): string => `{${joined.slice(1)}}`;
