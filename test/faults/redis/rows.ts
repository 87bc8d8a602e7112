import { setTimeout as pause } from 'node:timers/promises';
import { firstReadFalse, type Judgement, nothingLost, toldFirst, toldWithin } from '../lab/outcome.js';
import { eachAfterTheOther } from '../lab/strikes.js';
import { nanos } from '../log/time.js';
import type { Contestant } from './holders/holder.js';
import { type RedisOutcome, type RedisRow, toldAtReconnect } from './outcome.js';
import { RedisStage, type Scale } from './stage.js';

const LEASE_MS = 2000;
/** A failover takes longer than that lease. */
const FAILOVER_LEASE_MS = 10_000;
/** A third of the lease. */
const RENEWED_MS = LEASE_MS / 3;
const SLOW_MS = 400;
const isOurs = (contestant: Contestant): boolean => contestant === 'ours' || contestant === 'watch';

type Outcomes = ReadonlyMap<Contestant, RedisOutcome[]>;

interface Play {
  readonly name: string;
  readonly fault: string;
  readonly promise: string;
  readonly kind: 'server' | 'sentinel';
  readonly leaseMs: number;
  act(stage: RedisStage): Promise<Outcomes>;
  prepare?(stage: RedisStage['pair']): Promise<unknown>;
  judge(outcomes: readonly RedisOutcome[], contestant: Contestant): Judgement;
}

const onServer = { kind: 'server', leaseMs: LEASE_MS } as const;
const onSentinel = { kind: 'sentinel', leaseMs: FAILOVER_LEASE_MS } as const;

const TOLD_FIRST = { promise: 'told before the rival gets in', judge: toldFirst };
const FIRST_READ = { promise: 'first read is false', judge: firstReadFalse };
const NOTHING_LOST = { promise: 'nothing is lost', judge: nothingLost };
const TAKEN_AWAY = {
  promise: 'told within a renewal interval plus 100 ms; with `watch`, within 20 ms (median)',
  judge: (outcomes: readonly RedisOutcome[], contestant: Contestant): Judgement =>
    contestant === 'watch'
      ? toldWithin(outcomes, 20e6, 'median')
      : toldWithin(outcomes, (RENEWED_MS + 100) * 1e6, 'each'),
};

/** Strikes all at once. */
async function atOnce(stage: RedisStage, strike: () => Promise<unknown>, watchMs: number): Promise<Outcomes> {
  const at = nanos();
  await strike();
  await pause(watchMs);
  return stage.outcomes(() => at);
}

/** In the middle of the leases, and of the renewals. */
const settle = (): Promise<void> => pause(LEASE_MS * 0.6);

const PLAYS: readonly Play[] = [
  {
    ...{ name: 'reset', fault: 'connections reset', ...onServer, ...NOTHING_LOST },
    async act(stage) {
      await settle();
      return atOnce(stage, () => stage.proxy!.ask('reset', 'all'), LEASE_MS * 1.5);
    },
  },
  {
    ...{ name: 'blackHole', fault: "holder's network black-holed for 4 s", ...onServer, ...TOLD_FIRST },
    async act(stage) {
      await settle();
      const outcomes = await atOnce(stage, () => stage.proxy!.ask('hole', 'all', ['up', 'down']), 4000);
      await stage.proxy!.ask('pass', 'all');
      return outcomes;
    },
  },
  {
    ...{ name: 'slowHole', fault: 'the same, after answers have become slow (0.4 s)', ...onServer, ...TOLD_FIRST },
    async act(stage) {
      // After the first renewals, for which Redis has to learn the script; renewals are up to a tenth early.
      await pause(RENEWED_MS + 50);
      await stage.proxy!.ask('shape', 'all', { delayMs: SLOW_MS }, ['down']);
      // The second ones have been answered, and the third ones have not been sent.
      await pause(RENEWED_MS + SLOW_MS - 10);
      const outcomes = await atOnce(stage, () => stage.proxy!.ask('hole', 'all', ['up', 'down']), 4000);
      await stage.proxy!.ask('pass', 'all');
      return outcomes;
    },
  },
  {
    ...{ name: 'silence', fault: 'Redis silent for 5 s (SIGSTOP)', ...onServer, ...TOLD_FIRST },
    async act(stage) {
      await settle();
      const strike = async (): Promise<void> => {
        stage.server.pause();
        await pause(5000);
        stage.server.resume();
      };
      return atOnce(stage, strike, 1500);
    },
  },
  {
    ...{ name: 'stopped', fault: 'holder stopped for 3 s (SIGSTOP) and woken', ...onServer, ...FIRST_READ },
    async act(stage) {
      const strike = async (): Promise<void> => {
        for (const child of stage.holders) child.stop();
        await pause(LEASE_MS * 1.5);
        for (const child of stage.holders) child.continue();
      };
      return atOnce(stage, strike, 500);
    },
  },
  {
    ...{ name: 'blocked', fault: 'event loop blocked for 3 s', ...onServer, ...FIRST_READ },
    act: (stage) =>
      atOnce(stage, () => Promise.all(stage.holders.map((child) => child.ask('block', LEASE_MS * 1.5))), 500),
  },
  {
    ...{ name: 'failover', fault: 'failover (Sentinel), the replica had the write', ...onSentinel, ...NOTHING_LOST },
    async act(stage) {
      const { pair } = stage;
      const master = await pair.master();
      // WAIT is about what its own connection has written.
      await master.command('SET', 'mark', 1);
      if ((await master.command('WAIT', 1, 5000)) !== 1) throw new Error('the replica does not follow');
      const strike = async (): Promise<void> => {
        await master.kill();
        await pair.failedOver(master);
      };
      return atOnce(stage, strike, FAILOVER_LEASE_MS);
    },
  },
  {
    name: 'failoverLost',
    fault: 'failover (Sentinel), the replica did not have the write',
    promise: 'told at reconnect; the fence of the rival is higher',
    ...onSentinel,
    /** What is written from now on does not reach the replica. */
    async prepare(pair) {
      const [master, replica] = [await pair.master(), await pair.replica()];
      replica.pause();
      await master.command('CLIENT', 'KILL', 'TYPE', 'replica');
    },
    async act(stage) {
      const { pair } = stage;
      const [master, replica] = [await pair.master(), await pair.replica()];
      const strike = async (): Promise<void> => {
        await master.kill();
        replica.resume();
        await pair.failedOver(master);
      };
      // Until after the renewals of those who are told by them.
      return atOnce(stage, strike, FAILOVER_LEASE_MS);
    },
    judge: (outcomes) => toldAtReconnect(outcomes, 100e6),
  },
  {
    ...{ name: 'deleted', fault: 'key deleted by somebody', ...onServer, ...TAKEN_AWAY },
    async act(stage) {
      await settle();
      const times = await eachAfterTheOther(stage.keys, 10, (key) => stage.server.command('DEL', key));
      await pause(LEASE_MS * 1.5);
      return stage.outcomes((key) => times.get(key)!);
    },
  },
  {
    ...{ name: 'flushed', fault: 'FLUSHALL', ...onServer, ...TAKEN_AWAY },
    async act(stage) {
      await settle();
      return atOnce(stage, () => stage.server.command('FLUSHALL'), LEASE_MS * 1.5);
    },
  },
];

/** This package's next holder has a higher fence. */
async function checkFences(stage: RedisStage, outcomes: Outcomes): Promise<string[]> {
  const lost = [...outcomes].flatMap(([contestant, all]) =>
    isOurs(contestant) ? all.filter(({ rival }) => rival !== undefined) : [],
  );
  if (lost.length === 0) return [];
  const fences = await stage.fencesAfter(lost);
  return lost.flatMap(({ key, fence }, i) =>
    fences[i]! > BigInt(fence) ? [] : [`${key}: fence ${fences[i]} after ${fence}`],
  );
}

/** So many locks of each package at a time: more connections at once than Redis has room for in its backlog wait a second. */
const BATCH = 20;

interface Batch {
  readonly outcomes: Outcomes;
  readonly violations: readonly string[];
}

function strike(play: Play, locks: number, contestants: readonly Contestant[]): Promise<Batch> {
  const scale: Scale = { contestants, locks, leaseMs: play.leaseMs };
  const act = async (stage: RedisStage): Promise<Batch> => {
    const outcomes = await play.act(stage);
    return { outcomes, violations: await checkFences(stage, outcomes) };
  };
  return RedisStage.play(play.kind, scale, act, play.prepare);
}

async function measure(play: Play, locks: number, contestants: readonly Contestant[]): Promise<RedisRow> {
  const batches: Batch[] = [];
  for (let first = 0; first < locks; first += BATCH) {
    batches.push(await strike(play, Math.min(BATCH, locks - first), contestants));
  }
  const cells = new Map<Contestant, string>();
  const violations = batches.flatMap((batch) => batch.violations);
  for (const contestant of contestants) {
    const judged = play.judge(
      batches.flatMap(({ outcomes }) => outcomes.get(contestant)!),
      contestant,
    );
    cells.set(contestant, judged.cell);
    if (isOurs(contestant)) violations.push(...judged.violations.map((text) => `${contestant}: ${text}`));
  }
  return { name: play.name, fault: play.fault, promise: play.promise, locks, cells, violations };
}

/** The names of the rows. */
export const ROWS: readonly string[] = PLAYS.map(({ name }) => name);

/** A row of the table of faults on Redis. */
export const redisRow = (name: string, locks: number, contestants: readonly Contestant[]): Promise<RedisRow> =>
  measure(
    PLAYS.find((play) => play.name === name)!,
    locks,
    contestants,
  );
