import type { AdvisoryId } from '../ids/lock-id.js';

/** What a batch that failed may have taken or released. */
export class Undo {
  private readonly exclusive: bigint[] = [];
  private readonly shared: bigint[] = [];
  private readonly pairs: bigint[] = [];

  unlock(id: AdvisoryId): void {
    if (typeof id === 'bigint') this.exclusive.push(id);
    else this.pairs.push(BigInt.asIntN(64, (BigInt(id[0]) << 32n) | BigInt.asUintN(32, BigInt(id[1]))));
  }

  unlockShared(gate: bigint): void {
    this.shared.push(gate);
  }

  /** The parameters of the repair, as array literals. */
  get values(): string[] {
    return [this.exclusive, this.shared, this.pairs].map((ids) => `{${ids.join(',')}}`);
  }
}
