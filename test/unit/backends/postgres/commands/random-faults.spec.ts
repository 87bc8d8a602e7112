import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LockUnavailableError } from '../../../../../lib/common/errors.js';
import type { Released } from '../../../../../lib/backends/backend.js';
import { FakeClock, settlePromises } from '../../../../support/fake-clock.js';
import { Connected, Tried, TriedSlot } from './connection.js';
import { ModelPostgres, type ModelSession } from './model-postgres.js';

/** What happens, to one of two processes. */
type Step =
  | { readonly kind: 'try' | 'unlock' | 'slot' | 'free' | 'drop'; readonly process: number; readonly key: number }
  | { readonly kind: 'run'; readonly process: number; readonly failAfter: number }
  | { readonly kind: 'reply' | 'cut' | 'turn' | 'prove'; readonly process: number }
  | { readonly kind: 'time'; readonly ms: number };

const process = fc.nat(1);
const key = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('try' as const), process, key }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('unlock' as const), process, key }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('slot' as const, 'free' as const), process, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), process, key }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      process,
      failAfter: fc.oneof({ weight: 2, arbitrary: fc.constant(Infinity) }, { weight: 1, arbitrary: fc.nat(2) }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('reply' as const), process }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('turn' as const), process }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'prove' as const), process }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 6000 }) }) },
);

const GATE = 1000n;
const SLOTS = [1001n, 1002n];

/** A process, and what it believes. What is granted to a try that nobody wants any more is released. */
class Process {
  /** Tries that have not been answered, and what is held or being released, by id. */
  readonly tries: (Tried | TriedSlot)[] = [];
  readonly held = new Map<bigint, ModelSession>();
  releases = 0;
  /** Releases of locks that may still be taken. */
  unfreed = 0;
  /** Sessions whose end the server notices later. */
  readonly cut: ModelSession[] = [];

  private constructor(readonly connected: Connected) {}

  static async start(postgres: ModelPostgres): Promise<Process> {
    const process = new Process(await Connected.start(postgres));
    process.connected.commands.onDown(() => process.held.clear());
    return process;
  }

  try(id: bigint): void {
    this.follow(this.connected.try(id));
  }

  trySlot(): void {
    this.follow(this.connected.trySlot({ gate: GATE, candidates: SLOTS }));
  }

  drop(index: number): void {
    const op = this.tries[index % Math.max(this.tries.length, 1)];
    if (op?.said === '') op.isDropped = true;
  }

  unlock(id: bigint): void {
    const session = this.held.get(id);
    if (!session) return;
    this.held.delete(id);
    this.releases++;
    this.unfreed++;
    this.connected.commands.unlock(session, { id, over: this.over, done: this.released });
  }

  free(index: number): void {
    const slot = SLOTS[index % SLOTS.length]!;
    const session = this.held.get(slot);
    if (!session) return;
    this.held.delete(slot);
    this.releases++;
    this.unfreed++;
    const channel = 'dfl';
    this.connected.commands.freeSlot(session, { slot, gate: GATE, channel, over: this.over, done: this.released });
  }

  /** Takes notice of what was granted since the last look. */
  look(): void {
    for (const op of this.tries.splice(0)) {
      if (op.said === '') this.tries.push(op);
      else if (op.said === 'granted' && !op.session!.isEnded) this.grant(op);
    }
  }

  private grant(op: Tried | TriedSlot): void {
    const id = 'slot' in op ? op.slot! : (op.id as bigint);
    // What is held already is not granted again.
    expect(this.held.has(id)).toBe(false);
    this.held.set(id, op.session as ModelSession);
    if (!op.isDropped && op.overdues === 0) return;
    if ('slot' in op) this.free(SLOTS.indexOf(id));
    else this.unlock(id);
  }

  private follow(op: Tried | TriedSlot): void {
    this.tries.push(op);
  }

  private readonly over = (): void => {
    this.unfreed--;
  };

  private readonly released = (outcome: Released): void => {
    this.releases--;
    // The model has no pooler: what is held can be released.
    if (outcome === 'gone') expect(this.cut.length).toBeGreaterThan(0);
  };
}

async function play(steps: readonly Step[]): Promise<void> {
  const postgres = new ModelPostgres(new FakeClock());
  const { clock } = postgres;
  const processes = [await Process.start(postgres), await Process.start(postgres)];

  /** Nobody believes to have what somebody else has, or what the server does not know of. */
  const check = (): void => {
    for (const process of processes) process.look();
    const believed = processes.flatMap(({ held }) => [...held]);
    // Jest's expectations explain what is wrong, and are slow.
    for (const [id, session] of believed) {
      const held = postgres.heldBy(session);
      if (!held.includes(String(id))) expect(held).toContain(String(id));
    }
    const ids = believed.map(([id]) => id);
    if (new Set(ids).size < ids.length) expect(ids).toEqual([...new Set(ids)]);
  };

  for (const step of steps) {
    if (step.kind === 'time') {
      await clock.advanceAsync(step.ms);
    } else {
      const process = processes[step.process]!;
      const { connected } = process;
      if (step.kind === 'try') process.try(BigInt(step.key + 1));
      else if (step.kind === 'unlock') process.unlock(BigInt(step.key + 1));
      else if (step.kind === 'slot') process.trySlot();
      else if (step.kind === 'free') process.free(step.key);
      else if (step.kind === 'drop') process.drop(step.key);
      else if (step.kind === 'run') connected.session.run(step.failAfter);
      else if (step.kind === 'reply') connected.session.reply();
      else if (step.kind === 'turn') await settlePromises();
      else if (step.kind === 'prove') connected.commands.prove(connected.session, () => undefined);
      else if (!connected.session.isEnded) {
        process.cut.push(connected.session);
        connected.session.end(new LockUnavailableError('cut'));
      }
    }
    check();
  }

  // In the end, everybody is answered, and nothing is taken but what is held.
  await clock.advanceAsync(6000);
  for (let i = 0; i < 10; i++) {
    for (const { connected } of processes) await connected.settle();
    for (const { cut } of processes) for (const session of cut) session.gone();
    check();
  }
  for (const { tries, releases, unfreed, held, connected } of processes) {
    expect(tries).toEqual([]);
    expect([releases, unfreed]).toEqual([0, 0]);
    expect(connected.commands.counts.inBook).toBe(held.size);
  }
  const believed = processes.flatMap(({ held }) => [...held.keys()].map(String));
  expect(postgres.held).toEqual(believed.sort());
}

it('whatever is lost, late, or fails after its effect: nothing stays taken, and nobody is granted what another one has', async () => {
  // Of all lengths alike: by default, fast-check makes short ones, of which little comes.
  const some = fc.noBias(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }));
  await fc.assert(fc.asyncProperty(some, play), { numRuns: 150 });
});
