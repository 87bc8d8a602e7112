import type { RoundResult } from '../lab/round.js';
import { FAULT_KINDS } from '../plan/scenario.js';
import type { Row } from '../table/row.js';

/** What a run has checked altogether. */
export class Tally {
  holds = 0;
  calls = 0;
  lost = 0;
  private contended = 0;
  rounds = 0;
  private violations = 0;
  private firstSeed = NaN;
  private lastSeed = NaN;
  private readonly began = performance.now();
  private readonly faults = new Map<string, number>();

  addRow({ evidence, violations }: Row): void {
    this.holds += evidence.holds.length;
    this.calls += evidence.calls.length;
    this.lost += evidence.holds.filter(({ end }) => end === 'lost').length;
    this.violations += violations.length;
  }

  addRound({ seed, holds, calls, lost, contended, violations, faults }: RoundResult): void {
    if (this.rounds++ === 0) this.firstSeed = seed;
    this.lastSeed = seed;
    this.holds += holds;
    this.calls += calls;
    this.lost += lost;
    this.contended += contended;
    this.violations += violations.length;
    for (const [name, count] of faults) this.faults.set(name, (this.faults.get(name) ?? 0) + count);
  }

  /** How often each fault was done, the rarest first. */
  faultCounts(): string {
    const counts = [...this.faults].sort(([, a], [, b]) => a - b);
    return counts.map(([name, count]) => `${name} ${count}`).join(', ');
  }

  summary(): string {
    const count = (n: number): string => n.toLocaleString('en');
    const minutes = ((performance.now() - this.began) / 60_000).toFixed(1);
    const faults = [...this.faults.values()].reduce((a, b) => a + b, 0);
    const seeds = this.rounds === 0 ? '' : `, seeds ${this.firstSeed} to ${this.lastSeed}`;
    const kinds = `${count(faults)} random faults of ${FAULT_KINDS.length} kinds`;
    return (
      `${count(this.holds)} holds checked (${count(this.calls)} callers, ${count(this.contended)} granted while another ` +
      `process waited, ${count(this.lost)} lost to faults) ` +
      `in ${count(this.rounds)} rounds with ${kinds}${seeds}, ${minutes} minutes: ` +
      `${count(this.violations)} violations.`
    );
  }
}
