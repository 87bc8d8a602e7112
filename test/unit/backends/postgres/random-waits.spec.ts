import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Grant } from '../../../../lib/backends/backend.js';
import { lockIdOf } from '../../../../lib/backends/postgres/ids/lock-id.js';
import { slotIdsOf } from '../../../../lib/backends/postgres/ids/slot-ids.js';
import type { PostgresBackendOptions } from '../../../../lib/backends/postgres/options.js';
import { LockUnavailableError } from '../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { ModelPostgres } from './commands/model-postgres.js';
import { Caller, ModelProcess, settle } from './process.js';

/** More with POSTGRES=all, as in `npm run test:postgres`. */
const RUNS = globalThis.process.env['POSTGRES'] === 'all' ? 100 : 6;

/** What happens to a process whose server is slow, and in which callers leave. */
type Step =
  | { readonly kind: 'queue' | 'ticket' | 'try'; readonly key: string; readonly waitMs: number }
  | { readonly kind: 'leave' | 'release'; readonly index: number }
  | { readonly kind: 'rival'; readonly key: string }
  | { readonly kind: 'run'; readonly failAfter: number }
  | { readonly kind: 'reply' | 'turn' | 'settle' | 'waits' | 'cut' | 'dark' | 'light' }
  | { readonly kind: 'time'; readonly ms: number };

const key = fc.constantFrom('a', 'a', 'a', 'b');
const index = fc.nat(3);
const of = <K extends string>(kind: K): fc.Arbitrary<K> => fc.constant(kind);
const waitMs = fc.constantFrom(0, 300, 5500, 7000, 20_000);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: of('queue'), key, waitMs }) },
  { weight: 5, arbitrary: fc.record({ kind: of('ticket'), key, waitMs }) },
  { weight: 3, arbitrary: fc.record({ kind: of('try'), key, waitMs: fc.constant(0) }) },
  { weight: 7, arbitrary: fc.record({ kind: of('leave'), index }) },
  { weight: 4, arbitrary: fc.record({ kind: of('release'), index }) },
  { weight: 2, arbitrary: fc.record({ kind: of('rival'), key }) },
  { weight: 3, arbitrary: fc.record({ kind: of('run'), failAfter: fc.constantFrom(Infinity, Infinity, 0, 1) }) },
  { weight: 2, arbitrary: fc.record({ kind: of('reply') }) },
  { weight: 8, arbitrary: fc.record({ kind: of('turn') }) },
  { weight: 1, arbitrary: fc.record({ kind: of('settle') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'dark' as const, 'light' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: of('waits') }) },
  { weight: 9, arbitrary: fc.record({ kind: of('time'), ms: fc.constantFrom(20, 300, 1000, 2500, 4900, 5000) }) },
);

/** A caller who knows when he is to be told at the latest, and who must not overtake him. */
class Asked extends Caller {
  isReleased = false;
  private readonly since: number;

  constructor(
    process: ModelProcess,
    private readonly kind: string,
    readonly key: string,
    readonly dueAt: number,
    /** Callers of the queue. During an outage, those that had not asked yet may be overtaken. */
    private readonly before: readonly Asked[],
    private readonly outages: () => number,
  ) {
    super(process, `${kind} due at ${dueAt}`);
    this.since = outages();
  }

  get isWaiting(): boolean {
    return this.said === '';
  }

  get isInQueue(): boolean {
    return this.kind === 'queue' && this.isWaiting;
  }

  override granted(grant: Grant): void {
    super.granted(grant);
    expect(grant.validFrom).toBeLessThanOrEqual(this.process.clock.now());
    if (this.kind === 'queue' && this.outages() === this.since) {
      expect(this.before.filter(({ isWaiting }) => isWaiting).map(({ name }) => name)).toEqual([]);
    }
  }
}

async function play(steps: readonly Step[], slots: number, options: PostgresBackendOptions): Promise<void> {
  const postgres = new ModelPostgres(new FakeClock());
  const { clock } = postgres;
  const us = await ModelProcess.start(postgres, options);
  us.slots = slots;
  const rival = postgres.connect();
  const taken = new Set<string>();
  const callers: Asked[] = [];
  let outages = 0;
  const idsOf = (name: string): string[] =>
    slots === 0 ? [String(lockIdOf('lock', name))] : slotIdsOf(name, slots).slots.map(String);
  const holders = (): Asked[] => callers.filter(({ said, isReleased }) => said === 'granted' && !isReleased);

  // Looked at after each step, for which Jest's expectations are slow: they explain what is wrong.

  /** Everybody is told on time, holders have what they believe to have, and all that is taken is counted. */
  const check = (): void => {
    const { entries, holdings } = us;
    const { count, limit } = holdings;
    if (entries > count) expect(entries).toBeLessThanOrEqual(count);
    if (count > limit) expect(count).toBeLessThanOrEqual(limit);
    const late = callers.filter(({ isWaiting, dueAt }) => isWaiting && dueAt < clock.now());
    if (late.length > 0) expect(late.map(({ name }) => `${name}, at ${clock.now()}`)).toEqual([]);
    for (const { grant, key: name } of holders()) {
      if (grant!.owner.provenUntil() <= clock.now()) continue;
      const owner = postgres.sessions.find(({ pid }) => pid === Number(/#(\d+)@/.exec(grant!.owner.id)![1]))!;
      const ids = postgres.heldBy(owner);
      if (!ids.some((id) => idsOf(name).includes(id))) expect(ids).toContain(idsOf(name));
    }
  };

  const perform = async (one: Step): Promise<void> => {
    switch (one.kind) {
      case 'queue':
      case 'ticket':
      case 'try': {
        const request = us.request(one.key, one.waitMs);
        // A caller that does not wait has requestTimeoutMs.
        const dueAt = one.waitMs > 0 ? request.deadline : clock.now() + 5000;
        const before = callers.filter((other) => other.isInQueue && other.key === one.key);
        const caller = new Asked(us, one.waitMs > 0 ? one.kind : 'try', one.key, dueAt, before, () => outages);
        callers.push(caller);
        if (one.kind !== 'try') {
          caller.pending = us.backend.enqueue(request, one.kind, caller);
          return;
        }
        us.backend.tryAcquire(request).then(
          (grant) => (grant ? caller.granted(grant) : caller.refused(undefined)),
          (error: unknown) => caller.refused(error),
        );
        return;
      }
      case 'leave': {
        const waiting = callers.filter(({ isWaiting, pending }) => isWaiting && pending);
        return waiting[one.index % Math.max(waiting.length, 1)]?.cancel();
      }
      case 'release': {
        const all = holders();
        const holder = all[one.index % Math.max(all.length, 1)];
        if (!holder) return;
        holder.isReleased = true;
        holder.release(options.keep ? (one.index % 2) * 3000 : 0);
        return;
      }
      case 'rival': {
        const [id] = idsOf(one.key);
        if (taken.delete(id!)) postgres.free(rival, id!);
        else if (postgres.take(rival, id!)) taken.add(id!);
        return;
      }
      case 'run':
        return us.command.run(one.failAfter);
      case 'reply':
        return us.command.reply();
      case 'turn':
        return settlePromises();
      case 'settle':
        return settle(postgres);
      case 'waits':
        return us.waits.forEach((session) => session.settle());
      case 'cut':
      case 'dark':
        outages++;
        if (one.kind === 'dark') us.dialer.error = new LockUnavailableError('dark');
        us.command.end(new LockUnavailableError('cut'));
        return us.command.gone();
      case 'light':
        us.dialer.error = undefined;
        return;
      case 'time':
        return clock.advanceAsync(one.ms);
    }
  };

  for (const one of steps) {
    await perform(one);
    check();
  }

  // In the end, nothing is taken.
  us.dialer.error = undefined;
  for (const id of taken) postgres.free(rival, id);
  for (let round = 0; round < 30; round++) {
    for (const dead of postgres.sessions) if (dead.isEnded && !dead.isGone) dead.gone();
    await settle(postgres);
    check();
    for (const holder of holders()) {
      holder.isReleased = true;
      holder.release();
    }
    await clock.advanceAsync(1000);
  }
  await settle(postgres);
  expect(callers.filter(({ isWaiting }) => isWaiting).map(({ name }) => name)).toEqual([]);
  expect(postgres.held).toEqual([]);
  expect(await us.stats()).toMatchObject({ held: 0, queues: 0, waiters: 0, places: 0, polling: 0 });
}

it.each<[string, number, PostgresBackendOptions]>([
  ['a lock', 0, { maxWaitConnections: 2 }],
  ['a lock that may be kept', 0, { keep: true, sessionTimeoutMs: 600_000 }],
  ['a lock for which each caller has a place', 0, { waitersPerKey: Infinity, maxWaitConnections: Infinity }],
  ['a lock that is never handed on, over a session that is closed', 0, { localTurns: 0, idleCloseMs: 900 }],
  ['a semaphore', 2, { maxWaitConnections: 2 }],
  ['a semaphore of one', 1, { maxWaitConnections: 1 }],
  ['a semaphore with little room', 1, { maxHeld: 3 }],
  ['a semaphore without room for a place', 1, { maxHeld: 1 }],
])(
  'whoever asks for %s and leaves, and however slow the server is: the others are told on time and in order, and nothing stays taken',
  async (_name, slots, options) => {
    // Without a bias to few steps, of which little comes.
    const some = fc.noBias(fc.array(step, { minLength: 25, maxLength: 40, size: 'max' }));
    await fc.assert(
      fc.asyncProperty(some, (steps) => play(steps, slots, options)),
      { numRuns: RUNS },
    );
  },
  60_000,
);
