import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Child } from '../../bench/support/child.mjs';
import { quantile, spread, sum } from '../../bench/support/statistics.mjs';
import { until } from './until.mjs';

/** Times the p99 of an unattacked slice on a machine that is as busy. */
const P99_FACTOR = 5;
/** What one turn of the daemon may take of a processor. */
const TURN_BOUND_MS = 50;
/** What the daemon's heap may have grown by when all is over, after collections. */
const HEAP_BOUND = 4 * 2 ** 20;
/** Short deadlines, so that they strike within the run; keys without number. */
const DAEMON = { port: 0, readTimeout: 2, writeTimeout: 2, gcInterval: 1, gcMaxIdle: 1, maxLocks: 5_000_000 };
const WARM_UP_MS = 1000;
/** Of an attack nobody measures: tables grow that are kept for the next. */
const FIRST_MS = 1000;
/** What an attack may take longer than planned to do what it is for, on a slow machine. */
const LATE_MS = 10_000;
/** Forgotten when they have been idle for gcMaxIdle, at the next gcInterval. */
const KEYS_FORGOTTEN_MS = 2200;

const here = (name) => new URL(`processes/${name}`, import.meta.url);
const entry = (build, name) => pathToFileURL(`${build}/entries/${name}.js`).href;
const mega = (bytes) => bytes / 2 ** 20;

export const startDaemon = (build, options = {}) =>
  new Child(here('daemon.mjs'), [entry(build, 'daemon'), JSON.stringify({ ...DAEMON, ...options })], ['--expose-gc']);
export const startCallers = (build) => new Child(here('callers.mjs'), [entry(build, 'client')]);
/** @param humble they take what nobody else wants of the processor */
export const startAttackers = (humble) => new Child(here('attackers.mjs'), humble ? ['humble'] : []);
export const clientOptions = ({ host, port }) => ({
  servers: [[host, port]],
  remote: { readTimeoutS: DAEMON.readTimeout, reconnect: { minDelayMs: 20, maxDelayMs: 200 } },
});

/**
 * The same daemon and the same other clients, three times in turn: while the daemon is attacked; while the same attack hits
 * another daemon on this machine; and without any attack.
 *
 * @param {import('./attacks.mjs').Attack} attack
 */
export async function siege(build, attack) {
  const isOverHttp = attack.overHttp ?? false;
  const options = isOverHttp ? { overHttp: true } : {};
  const daemon = startDaemon(build, options);
  const otherDaemon = attack.judged ? startDaemon(build, options) : undefined;
  const callers = startCallers(build);
  const attackers = startAttackers(attack.judged);
  const children = [daemon, otherDaemon, callers, attackers].filter((child) => child !== undefined);
  /** Of other clients: how long each call took, by round. */
  const attacked = [];
  const elsewhere = [];
  const calm = [];
  /** What the daemon did while it was attacked. */
  const turns = { p99Ms: 0, maxMs: 0, ownMs: 0 };
  const collections = { maxMs: 0 };
  const violations = [];
  let last;
  try {
    const address = await daemon.ask('listen');
    const otherAddress = await otherDaemon?.ask('listen');
    await callers.ask('open', clientOptions(address));
    await callers.ask('hold');
    await quiet(WARM_UP_MS);
    await during(address, daemon, FIRST_MS);
    const before = await settledHeap();
    for (let round = 0; round < attack.rounds; round++) {
      attacked.push(await during(address, daemon, attack.runMs, true));
      if (attack.judged) elsewhere.push(await during(otherAddress, otherDaemon, attack.runMs));
      calm.push(await quiet(attack.calmMs));
    }
    const grown = await heapSince(before);
    return judge(grown, [...(await daemon.ask('rejections')), ...(await callers.ask('rejections'))]);
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }

  async function quiet(ms) {
    await callers.ask('start');
    await pause(ms);
    return checked(await callers.ask('stop'), 'without an attack');
  }

  /** Begin, course and end of the attack, and what comes after it, are one measurement. */
  async function during(address, target, runMs, isMeasured = false) {
    await daemon.ask('vitals');
    await callers.ask('start');
    const begun = performance.now();
    const watching = watch(target);
    const http = isOverHttp ? await target.ask('http') : undefined;
    await attackers.ask('begin', { kind: attack.kind, address, http, ...attack.during });
    await attackers.ask('finished');
    await pause(Math.max(0, begun + runMs - performance.now()));
    const struck = async () => attack.expect({ ...watching.seen, ...(await attackers.ask('counts')) }) === undefined;
    if (isMeasured) await until(struck, LATE_MS).catch(() => undefined);
    const seen = { ...(await watching.stop()), ...(await attackers.ask('end')) };
    await pause(attack.afterMs);
    const waits = checked(await callers.ask('stop'), target === daemon ? 'under attack' : 'beside an attack');
    const vitals = await daemon.ask('vitals');
    if (isMeasured) {
      last = seen;
      turns.p99Ms = Math.max(turns.p99Ms, vitals.turnP99Ms);
      turns.maxMs = Math.max(turns.maxMs, vitals.turnMaxMs);
      turns.ownMs = Math.max(turns.ownMs, vitals.ownMaxMs);
      collections.maxMs = Math.max(collections.maxMs, ...Object.values(vitals.collections).map(({ maxMs }) => maxMs));
    }
    await until(async () => (await left(target)) <= 0, 15_000, 'that all attackers are gone').catch(async (error) => {
      throw new Error(`${error.message}: ${await left(target)} connections are left`, { cause: error });
    });
    return waits;
  }

  /** How many connections the attackers have, as the daemon counts. */
  async function left(target) {
    const others = target === daemon ? await callers.ask('connections') : 0;
    return (await target.ask(isOverHttp ? 'sockets' : 'connections')) - others;
  }

  /** How many connections the attackers had at most, and the daemon of them at least once they were open. */
  function watch(target) {
    const seen = { peak: 0, left: Infinity, rss: 0, listening: Infinity };
    let over = false;
    const watching = (async () => {
      while (!over) {
        seen.peak = Math.max(seen.peak, (await attackers.ask('counts')).open);
        if (seen.peak >= attack.during.count) seen.left = Math.min(seen.left, await left(target));
        if (attack.listens && seen.peak >= attack.during.count) {
          seen.listening = Math.min(seen.listening, await target.ask('listeners'));
        }
        seen.rss = Math.max(seen.rss, await target.ask('rss'));
        await pause(100);
      }
      return seen;
    })();
    // A daemon that has died is told of where somebody waits for it.
    watching.catch(() => undefined);
    return {
      seen,
      stop() {
        over = true;
        return watching;
      },
    };
  }

  /** What is in use once it shrinks no more. */
  async function settledHeap() {
    if (attack.kind !== 'keys' && !attack.during.keys) return daemon.ask('inUse');
    for (let last = Infinity; ;) {
      const now = await daemon.ask('inUse');
      if (now > last - HEAP_BOUND / 8) return now;
      last = now;
      await pause(KEYS_FORGOTTEN_MS);
    }
  }

  async function heapSince(before) {
    let grown;
    const settled = async () => (grown = (await daemon.ask('inUse')) - before) <= HEAP_BOUND;
    // Each look is two full collections, in which the daemon forgets no keys.
    await until(settled, 30_000, 'that the heap is flat', 1000).catch(() => undefined);
    return grown;
  }

  /** @returns {number[]} how long each call took, sorted */
  function checked({ waits, errors, late }, when) {
    if (waits.length === 0) violations.push(`no other client was served ${when}`);
    for (const [name, count] of Object.entries(errors))
      violations.push(`${count} × ${name} for other clients, ${when}`);
    if (late > 0) violations.push(`${late} callers were answered after their deadline, ${when}`);
    return waits.sort((a, b) => a - b);
  }

  function judge(grown, unhandled) {
    const loud = p99(attacked);
    const against = (rounds) => `${p99(rounds).toFixed(1)} ms (${(loud / p99(rounds)).toFixed(1)} ×)`;
    const compared = attack.judged
      ? `p99 ${loud.toFixed(1)} ms; ${against(elsewhere)} during the same attack on another daemon, ${against(calm)} without`
      : `p99 ${loud.toFixed(1)} ms, ${against(calm)} without, which is not judged`;
    if (attack.judged && !(loud <= P99_FACTOR * p99(elsewhere))) violations.push(compared);
    if (!(turns.ownMs <= TURN_BOUND_MS))
      violations.push(`a turn of the daemon took ${turns.ownMs.toFixed(0)} ms of its processor`);
    if (grown > HEAP_BOUND) violations.push(`the heap has grown by ${mega(grown).toFixed(1)} MB`);
    for (const reason of unhandled) violations.push(`unhandled rejection: ${reason}`);
    const missed = attack.expect(last);
    if (missed) violations.push(`the attack was none: ${missed}`);
    const longest = Math.max(...attacked.map((waits) => waits.at(-1)));
    const said = [
      attack.force(last),
      compared,
      `longest ${longest.toFixed(0)} ms`,
      `the daemon’s turns ${turns.p99Ms.toFixed(1)} ms (p99), ${turns.maxMs.toFixed(0)} ms (longest, of which on a processor at most ${turns.ownMs.toFixed(0)} ms), its collections up to ${collections.maxMs.toFixed(0)} ms`,
      `heap ${grown < 0 ? '−' : '+'}${mega(Math.abs(grown)).toFixed(1)} MB afterwards`,
      `at most ${mega(last.rss).toFixed(0)} MB resident`,
      `${sum(attacked.map((waits) => waits.length)).toLocaleString('en-US')} calls of others`,
    ].join('; ');
    return { said, violations, strict: loud <= P99_FACTOR * p99(calm), judged: attack.judged };
  }
}

/** The median over the rounds. @param {number[][]} rounds each sorted */
const p99 = (rounds) => spread(rounds.map((waits) => quantile(waits, 0.99))).median;
