import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LockUnavailableError } from '../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from './commands/model-postgres.js';
import { type Caller, ModelProcess, settle } from './process.js';

/** More with POSTGRES=all, as in `npm run test:postgres`. */
const RUNS = globalThis.process.env['POSTGRES'] === 'all' ? 300 : 30;

/** What happens, to one of two processes. */
type Step =
  | {
      readonly kind: 'enqueue' | 'ticket' | 'try';
      readonly process: number;
      readonly key: number;
      readonly waitMs: number;
    }
  | { readonly kind: 'release' | 'cancel'; readonly index: number }
  | { readonly kind: 'run'; readonly session: number; readonly failAfter: number }
  | { readonly kind: 'reply' | 'settle' | 'cut' | 'gone'; readonly session: number }
  | { readonly kind: 'turn' }
  | { readonly kind: 'time'; readonly ms: number };

const process = fc.nat(1);
const key = fc.nat(3);
const session = fc.nat(9);
const index = fc.nat(30);
const waitMs = fc.constantFrom(0, 300, 20_000);
const of = <K extends string>(kind: K): fc.Arbitrary<K> => fc.constant(kind);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: of('enqueue'), process, key, waitMs }) },
  { weight: 1, arbitrary: fc.record({ kind: of('ticket'), process, key, waitMs }) },
  { weight: 1, arbitrary: fc.record({ kind: of('try'), process, key, waitMs }) },
  { weight: 7, arbitrary: fc.record({ kind: of('release'), index }) },
  { weight: 2, arbitrary: fc.record({ kind: of('cancel'), index }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: of('run'),
      session,
      failAfter: fc.oneof({ weight: 6, arbitrary: fc.constant(Infinity) }, { weight: 1, arbitrary: fc.nat(2) }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: of('reply'), session }) },
  { weight: 6, arbitrary: fc.record({ kind: of('settle'), session }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'gone' as const), session }) },
  { weight: 8, arbitrary: fc.record({ kind: of('turn') }) },
  { weight: 2, arbitrary: fc.record({ kind: of('time'), ms: fc.integer({ min: 1, max: 3000 }) }) },
);

const KEYS = ['a', 'b', 'c', 'd'];
/** The id of the lock or slot, as the token has it. */
const idOf = ({ grant }: Caller): string =>
  String(BigInt.asIntN(64, BigInt(`0x${/^\d+-([\da-f]+)-/.exec(grant!.token)![1]}`)));
const nameOf = ({ grant }: Caller): string => grant!.req.key;
const pidOf = ({ grant }: Caller): number => Number(/#(\d+)@/.exec(grant!.owner.id)![1]);

interface Variant {
  /** Of semaphores; 0: locks. */
  readonly slots: number;
  readonly keep: boolean;
  /** How many keys there are. */
  readonly keys: number;
  /** Of the runs. */
  readonly share: number;
  /** Of the two processes. */
  readonly maxHeld: readonly [number, number];
  /** Fences rise across processes: those of a semaphore follow the server's clock, which the processes read at different times. */
  readonly areFencesStrict: boolean;
}

async function play(
  steps: readonly Step[],
  { slots, keep, keys, maxHeld: [few, more], areFencesStrict }: Variant,
): Promise<void> {
  const postgres = new ModelPostgres(new FakeClock());
  const { clock } = postgres;
  const options = [
    { maxWaitConnections: 1, keep, maxHeld: few },
    { maxWaitConnections: 2, localTurns: 1, keep, maxHeld: more },
  ];
  const processes = [await ModelProcess.start(postgres, options[0]), await ModelProcess.start(postgres, options[1])];
  for (const one of processes) one.slots = slots;
  const callers: Caller[] = [];
  const lastFence = new Map<string, bigint>();
  const seen = new Set<Caller>();

  const believed = (): Caller[] =>
    callers.filter(({ said, outcome, grant }) => said === 'granted' && outcome === undefined && isHeld(grant!));
  const released = new Set<Caller>();
  const isHeld = (grant: NonNullable<Caller['grant']>): boolean => grant.owner.provenUntil() > clock.now();

  // All this is looked at after each step, for which Jest's expectations are slow: they explain what is wrong.

  /** What a process has of the server's table of locks is counted, and is not more than it may have. */
  const count = (): void => {
    for (const { entries, holdings } of processes) {
      const { count: counted, limit } = holdings;
      if (entries > counted) expect(entries).toBeLessThanOrEqual(counted);
      if (counted > limit) expect(counted).toBeLessThanOrEqual(limit);
    }
  };

  /** Nobody believes to have what somebody else has, or what the server does not know of; and fences rise. */
  const check = (): void => {
    const holders = believed().filter((caller) => !released.has(caller));
    for (const holder of holders) {
      const owner = postgres.sessions.find(({ pid }) => pid === pidOf(holder))!;
      if (!postgres.heldBy(owner).includes(idOf(holder))) expect(postgres.heldBy(owner)).toContain(idOf(holder));
    }
    const ids = holders.map(idOf);
    if (new Set(ids).size < ids.length) expect(ids).toEqual([...new Set(ids)]);
    for (const name of KEYS) {
      const { length } = holders.filter((holder) => nameOf(holder) === name);
      if (length > (slots || 1)) expect(length).toBeLessThanOrEqual(slots || 1);
    }
    const fresh = callers.filter((caller) => caller.grant && !seen.has(caller));
    for (const caller of fresh.sort((one, other) => one.number - other.number)) {
      seen.add(caller);
      // What is kept goes to nobody.
      expect(postgres.restOf(idOf(caller))).toBe(0);
      const scope = areFencesStrict ? nameOf(caller) : `${processes.indexOf(caller.process)} ${nameOf(caller)}`;
      expect(caller.grant!.fence!).toBeGreaterThan(lastFence.get(scope) ?? 0n);
      lastFence.set(scope, caller.grant!.fence!);
    }
  };

  const pick = (at: number): ModelSession => postgres.sessions[at % postgres.sessions.length]!;
  const perform = async (one: Step): Promise<void> => {
    switch (one.kind) {
      case 'enqueue':
      case 'ticket': {
        const mode = one.kind === 'ticket' ? 'ticket' : 'queue';
        callers.push(processes[one.process]!.enqueue(KEYS[one.key % keys], one.waitMs, mode));
        return;
      }
      case 'try': {
        const caller = processes[one.process]!;
        void caller.backend.tryAcquire(caller.request(KEYS[one.key % keys])).then(
          (grant) => grant && caller.backend.abandon(grant),
          () => undefined,
        );
        return;
      }
      case 'release': {
        const holders = callers.filter((caller) => caller.said === 'granted' && !released.has(caller));
        const holder = holders[one.index % Math.max(holders.length, 1)];
        if (!holder) return;
        released.add(holder);
        holder.release(keep ? (one.index % 3) * 400 : 0);
        return;
      }
      case 'cancel':
        return callers[one.index % Math.max(callers.length, 1)]?.cancel();
      case 'run':
        return pick(one.session).run(one.failAfter);
      case 'reply':
        return pick(one.session).reply();
      case 'settle':
        return pick(one.session).settle();
      case 'cut':
        return pick(one.session).end(new LockUnavailableError('cut'));
      case 'gone': {
        // The server ends it, and the client hears of it.
        const victim = pick(one.session);
        victim.end(new LockUnavailableError('terminated'));
        return victim.gone();
      }
      case 'turn':
        return settlePromises();
      case 'time':
        return clock.advanceAsync(one.ms);
    }
  };

  for (const one of steps) {
    await perform(one);
    check();
    count();
  }

  // In the end, everybody is answered, one after the other, and nothing is taken.
  for (let round = 0; round < 40; round++) {
    for (const dead of postgres.sessions) if (dead.isEnded && !dead.isGone) dead.gone();
    await settle(postgres);
    check();
    count();
    for (const caller of callers) {
      if (caller.said !== 'granted' || released.has(caller)) continue;
      released.add(caller);
      caller.release(keep ? 500 : 0);
    }
    await clock.advanceAsync(1000);
  }
  await settle(postgres);
  expect(callers.filter(({ said }) => said === '').map(({ name }) => name)).toEqual([]);
  expect([...released].filter(({ outcome }) => outcome === undefined).map(({ name }) => name)).toEqual([]);
  expect(postgres.held).toEqual([]);
  expect(postgres.blocked).toBe(0);
  for (const one of processes) {
    expect(await one.stats()).toMatchObject({ held: 0, queues: 0, waiters: 0, places: 0, polling: 0 });
  }
}

const MUCH_ROOM = { keys: 2, maxHeld: [100, 100], share: 1 } as const;
const LITTLE_ROOM = { keys: 4, maxHeld: [2, 3], share: 0.3 } as const;

it.each<[string, Variant]>([
  ['no two hold a lock', { ...MUCH_ROOM, slots: 0, keep: false, areFencesStrict: true }],
  ['no two hold a lock, nor one that is kept', { ...MUCH_ROOM, slots: 0, keep: true, areFencesStrict: true }],
  ['no three hold a semaphore of two', { ...MUCH_ROOM, slots: 2, keep: false, areFencesStrict: false }],
  ['no two hold a lock of few', { ...LITTLE_ROOM, slots: 0, keep: false, areFencesStrict: true }],
  ['no two hold a lock of few, nor one that is kept', { ...LITTLE_ROOM, slots: 0, keep: true, areFencesStrict: true }],
  ['no three hold a semaphore of few', { ...LITTLE_ROOM, slots: 2, keep: false, areFencesStrict: false }],
])(
  'whatever is lost, late, or fails after its effect: every caller is answered, %s, nothing stays taken, and all that is taken is counted',
  async (_name, variant) => {
    // Without a bias to few steps, of which little comes.
    const some = fc.noBias(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }));
    await fc.assert(
      fc.asyncProperty(some, (steps) => play(steps, variant)),
      { numRuns: Math.ceil(RUNS * variant.share) },
    );
  },
  60_000,
);
