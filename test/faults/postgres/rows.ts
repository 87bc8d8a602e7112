import { setTimeout as pause } from 'node:timers/promises';
import { lockId } from '../../../lib/entries/postgres.js';
import { fromMillis, nanos } from '../log/time.js';
import type { Outcome } from '../lab/outcome.js';
import { eachAfterTheOther } from '../lab/strikes.js';
import {
  believesAtMost,
  firstReadFalse,
  freeWithin,
  nothingLost,
  type PostgresRow,
  toldBefore,
  toldWithin,
  type Verdict,
} from './outcome.js';
import { PostgresStage } from './stage.js';

/** The least that there is; the default is five times as long. */
const SESSION_MS = 2000;
/** Where answers are slow. */
const SLOW = { sessionMs: 3000, delayMs: 900 };
const APART_MS = 10;
/** For the news to reach the holder, or the lock the rival. */
const CUT_NS = fromMillis(50);
const DEAD_NS = fromMillis(500);
/** For the server to end a session whose time is over. */
const FREED_LATE_MS = 500;

interface Played {
  readonly outcomes: Outcome[];
  /** What was left behind. */
  readonly leaks: readonly string[];
}

interface Play {
  readonly name: string;
  readonly fault: string;
  readonly promise: string;
  /** Default: a server alone. */
  readonly kind?: 'pair';
  readonly sessionMs?: number;
  act(stage: PostgresStage): Promise<Outcome[] | Played>;
  judge(outcomes: readonly Outcome[]): Verdict;
}

const BEFORE = { promise: 'told before the rival gets in', judge: toldBefore };
const WITHIN = { promise: 'told at most 50 ms after the rival is in', judge: toldWithin(CUT_NS) };
const FIRST_READ = {
  promise: 'first read is false; the rival is in when the session time is over',
  judge: firstReadFalse(fromMillis(SESSION_MS + FREED_LATE_MS)),
};

const NOTHING_LOST = { promise: 'nothing is lost, and nothing is left behind', judge: nothingLost };

/** Strikes all at once. @param watchMs after that */
async function atOnce(stage: PostgresStage, strike: () => unknown, watchMs: number): Promise<Outcome[]> {
  const at = nanos();
  await strike();
  await pause(watchMs);
  return stage.outcomes(() => at);
}

async function oneByOne(
  stage: PostgresStage,
  strike: (key: string, index: number) => Promise<unknown>,
): Promise<Outcome[]> {
  const times = await eachAfterTheOther(stage.keys, APART_MS, strike);
  await pause(SESSION_MS / 2);
  return stage.outcomes((key) => times.get(key)!);
}

/** Between heartbeats. */
const settle = (): Promise<void> => pause(SESSION_MS * 0.6);

function hole(directions: readonly string[]): (stage: PostgresStage) => Promise<Outcome[]> {
  return async (stage) => {
    await settle();
    return atOnce(stage, () => stage.proxy.ask('hole', 'all', directions), SESSION_MS * 1.75);
  };
}

const CHURN_MS = 2000;
const CANCEL = `select pg_cancel_backend(pid) from pg_stat_activity where application_name like 'nestjs-dflockd%'`;

/** Ends the sessions that hold a lock. */
const TERMINATE = `select pg_terminate_backend(pid) from pg_locks
  where locktype = 'advisory' and granted and objsubid = 1 and (classid::bigint << 32 | objid::bigint) = $1`;

const PLAYS: readonly Play[] = [
  { ...{ name: 'holeBoth', fault: 'black hole both ways', ...BEFORE }, act: hole(['up', 'down']) },
  { ...{ name: 'holeUp', fault: 'black hole towards the server', ...BEFORE }, act: hole(['up']) },
  { ...{ name: 'holeDown', fault: 'black hole towards the holder', ...BEFORE }, act: hole(['down']) },
  {
    ...{ name: 'slowHole', fault: 'black hole towards the server, after answers have become slow (0.9 s)', ...BEFORE },
    sessionMs: SLOW.sessionMs,
    async act(stage) {
      await stage.proxy.ask('shape', 'all', { delayMs: SLOW.delayMs }, ['down']);
      await pause(SLOW.sessionMs);
      return atOnce(stage, () => stage.proxy.ask('hole', 'all', ['up']), SLOW.sessionMs * 1.75);
    },
  },
  {
    ...{ name: 'silence', fault: 'server stopped for two session times (SIGSTOP)', ...BEFORE },
    async act(stage) {
      await settle();
      const strike = async (): Promise<void> => {
        stage.server.pause();
        await pause(2 * SESSION_MS);
        stage.server.resume();
      };
      return atOnce(stage, strike, SESSION_MS);
    },
  },
  {
    ...{ name: 'restartFast', fault: 'server restarted (`pg_ctl restart -m fast`)', ...BEFORE },
    act: (stage) => atOnce(stage, () => stage.server.restart('fast'), SESSION_MS / 2),
  },
  {
    ...{ name: 'restartImmediate', fault: 'server restarted (`-m immediate`)', ...BEFORE },
    act: (stage) => atOnce(stage, () => stage.server.restart('immediate'), SESSION_MS),
  },
  {
    ...{
      name: 'crash',
      fault: 'a backend of somebody else crashed (SIGKILL): the server ends all sessions',
      ...BEFORE,
    },
    async act(stage) {
      const other = await stage.server.connect();
      const { rows } = await other.query<{ pid: number }>('select pg_backend_pid() as pid');
      return atOnce(stage, () => process.kill(rows[0]!.pid, 'SIGKILL'), SESSION_MS);
    },
  },
  {
    ...{ name: 'terminated', fault: 'session ended by `pg_terminate_backend`', ...WITHIN },
    act: (stage) => oneByOne(stage, (key) => stage.server.query(TERMINATE, [`${lockId(key)}`])),
  },
  {
    ...{ name: 'reset', fault: 'connection reset, seen by both sides', ...WITHIN },
    act: (stage) => oneByOne(stage, (_key, index) => stage.proxy.ask('reset', index)),
  },
  {
    ...{ name: 'stopped', fault: 'holder stopped for two session times (SIGSTOP) and woken', ...FIRST_READ },
    act: (stage) => {
      const strike = async (): Promise<void> => {
        stage.holder.stop();
        await pause(2 * SESSION_MS);
        stage.holder.continue();
      };
      return atOnce(stage, strike, SESSION_MS / 4);
    },
  },
  {
    ...{ name: 'blocked', fault: 'event loop of the holder blocked for two session times', ...FIRST_READ },
    act: (stage) => atOnce(stage, () => stage.holder.ask('block', 2 * SESSION_MS), SESSION_MS / 4),
  },
  {
    ...{ name: 'killed', fault: 'holder killed (SIGKILL)', promise: 'free within 0.5 s', judge: freeWithin(DEAD_NS) },
    async act(stage) {
      const at = await stage.holder.kill();
      await pause(SESSION_MS / 2);
      return stage.outcomesOfDead(at);
    },
  },
  {
    ...{
      name: 'cancelled',
      fault: 'statements cancelled at random (`pg_cancel_backend`), while 200 others come and go',
    },
    ...NOTHING_LOST,
    act: (stage) =>
      stage.withChurn(async (churn) => {
        const churning = churn.ask<number>('churn', 200, CHURN_MS);
        const end = performance.now() + CHURN_MS;
        const at = nanos();
        while (performance.now() < end) await stage.server.query(CANCEL);
        await churning;
        return { outcomes: await stage.outcomes(() => at), leaks: await stage.leaks() };
      }),
  },
  {
    ...{ name: 'givenUp', fault: '1,000 waits given up as the lock becomes free', ...NOTHING_LOST },
    act: (stage) =>
      stage.withChurn(async (churn) => {
        const at = nanos();
        const [got, not] = await churn.ask<[number, number]>('race', 5, 200);
        const leaks = await stage.leaks();
        if (got === 0 || not === 0) leaks.push(`they never met: ${got} were in time, and ${not} were not`);
        return { outcomes: await stage.outcomes(() => at), leaks };
      }),
  },
  {
    ...{ name: 'failover', fault: 'primary killed, standby promoted', ...BEFORE, kind: 'pair' },
    act: (stage) => {
      const strike = async (): Promise<void> => {
        await stage.server.kill();
        await stage.promoteStandby();
      };
      return atOnce(stage, strike, SESSION_MS);
    },
  },
  {
    ...{ name: 'splitBrain', fault: 'primary cut off (SIGSTOP), standby promoted at once', kind: 'pair' },
    promise: 'nothing before the session time is over: only a fence protects',
    judge: believesAtMost(fromMillis(SESSION_MS)),
    act: (stage) => {
      const strike = async (): Promise<void> => {
        stage.server.pause();
        await stage.promoteStandby();
      };
      return atOnce(stage, strike, SESSION_MS * 1.5);
    },
  },
];

/** This package's next holder has a higher fence. */
async function checkFences(stage: PostgresStage, outcomes: readonly Outcome[]): Promise<string[]> {
  const lost = outcomes.filter(({ rival, fence }) => rival !== undefined && fence !== '');
  if (lost.length === 0) return [];
  const fences = await stage.fencesAfter(lost.map(({ key }) => key));
  return lost.flatMap(({ key, fence }, i) =>
    fences[i]! > BigInt(fence) ? [] : [`${key}: fence ${fences[i]} after ${fence}`],
  );
}

/** So many locks at a time. */
const BATCH = 20;

/** The names of the rows. */
export const ROWS: readonly string[] = PLAYS.map(({ name }) => name);

/** A row of the table of faults on Postgres. */
export async function postgresRow(name: string, locks: number): Promise<PostgresRow> {
  const play = PLAYS.find((one) => one.name === name)!;
  const outcomes: Outcome[] = [];
  const violations: string[] = [];
  for (let first = 0; first < locks; first += BATCH) {
    const scale = { locks: Math.min(BATCH, locks - first), sessionTimeoutMs: play.sessionMs ?? SESSION_MS };
    await PostgresStage.play(play.kind ?? 'server', scale, async (stage) => {
      const played = await play.act(stage);
      const { outcomes: some, leaks } = Array.isArray(played) ? { outcomes: played, leaks: [] } : played;
      outcomes.push(...some);
      violations.push(...leaks, ...(await checkFences(stage, some)));
    });
  }
  const verdict = play.judge(outcomes);
  const { fault, promise } = play;
  return { name, fault, promise, locks, ...verdict, violations: [...verdict.violations, ...violations] };
}
