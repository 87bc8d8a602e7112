import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Child } from '../../bench/support/child.mjs';
import { quantile } from '../../bench/support/statistics.mjs';
import { until } from './until.mjs';

/** Times the p99 of an unattacked slice. */
const P99_FACTOR = 5;
/** What the daemon's heap may have grown by when all is over, after collections. */
const HEAP_BOUND = 4 * 2 ** 20;
/** Short deadlines, so that they strike within the run; keys without number. */
const DAEMON = { port: 0, readTimeout: 2, writeTimeout: 2, gcInterval: 1, gcMaxIdle: 1, maxLocks: 5_000_000 };
const WARM_UP_MS = 1500;
/** Of an attack nobody measures: tables grow that are kept for the next. */
const FIRST_MS = 1500;
/** After the end of an attack, which may hurt as much as the attack. */
const AFTER_MS = 1000;

const here = (name) => new URL(`processes/${name}`, import.meta.url);
const entry = (build, name) => pathToFileURL(`${build}/entries/${name}.js`).href;
const mega = (bytes) => bytes / 2 ** 20;

export const startDaemon = (build, options = {}) =>
  new Child(here('daemon.mjs'), [entry(build, 'daemon'), JSON.stringify({ ...DAEMON, ...options })], ['--expose-gc']);
export const startCallers = (build) => new Child(here('callers.mjs'), [entry(build, 'client')]);
export const startAttackers = () => new Child(here('attackers.mjs'));
export const clientOptions = ({ host, port }) => ({
  servers: [[host, port]],
  remote: { readTimeoutS: DAEMON.readTimeout, reconnect: { minDelayMs: 20, maxDelayMs: 200 } },
});

/** The same daemon and the same other clients with and without an attack, in turn. */
export async function siege(build, attack) {
  const children = [startDaemon(build), startCallers(build), startAttackers()];
  const [daemon, callers, attackers] = children;
  const calm = [];
  const attacked = [];
  const violations = [];
  let last;
  try {
    const address = await daemon.ask('listen');
    await callers.ask('open', clientOptions(address));
    await quiet(WARM_UP_MS, []);
    await underAttack(address, FIRST_MS, []);
    const before = await settledHeap();
    for (let round = 0; round < attack.rounds; round++) {
      const ms = await underAttack(address, attack.runMs, attacked);
      await quiet(ms, calm);
    }
    const grown = await heapSince(before);
    return judge(grown, [...(await daemon.ask('rejections')), ...(await callers.ask('rejections'))]);
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }

  async function quiet(ms, into) {
    await callers.ask('start');
    await pause(ms);
    note(await callers.ask('stop'), into, 'without an attack');
  }

  /** Begin, course and end of the attack, and what comes after it, are one measurement. @returns how long it took */
  async function underAttack(address, runMs, into) {
    await callers.ask('start');
    const begun = performance.now();
    const watching = watch();
    await attackers.ask('begin', { kind: attack.kind, address, ...attack.during });
    await attackers.ask('finished');
    await pause(Math.max(0, begun + runMs - performance.now()));
    last = { ...(await watching.stop()), ...(await attackers.ask('end')) };
    await pause(AFTER_MS);
    const ms = performance.now() - begun;
    note(await callers.ask('stop'), into, 'under attack');
    await until(onlyOthers, 15_000, 'that all attackers are gone').catch(async (error) => {
      const [here, there] = [await daemon.ask('connections'), await callers.ask('connections')];
      throw new Error(`${error.message}: ${here} connections, of which ${there} are of others`, { cause: error });
    });
    return ms;
  }

  async function onlyOthers() {
    return (await daemon.ask('connections')) <= (await callers.ask('connections'));
  }

  /** How many connections the attackers had at most, and the daemon at least once they were open. */
  function watch() {
    const seen = { peak: 0, left: Infinity, rss: 0 };
    let over = false;
    const watching = (async () => {
      while (!over) {
        seen.peak = Math.max(seen.peak, (await attackers.ask('counts')).open);
        if (seen.peak >= attack.during.count) seen.left = Math.min(seen.left, await daemon.ask('connections'));
        seen.rss = Math.max(seen.rss, await daemon.ask('rss'));
        await pause(100);
      }
      return seen;
    })();
    // A daemon that has died is told of where somebody waits for it.
    watching.catch(() => undefined);
    return {
      stop() {
        over = true;
        return watching;
      },
    };
  }

  /** What is in use once it shrinks no more: idle keys are forgotten within two seconds (gcMaxIdle and gcInterval). */
  async function settledHeap() {
    for (let last = Infinity; ;) {
      const now = await daemon.ask('inUse');
      if (now > last - HEAP_BOUND / 8) return now;
      last = now;
      await pause(2200);
    }
  }

  async function heapSince(before) {
    let grown;
    const settled = async () => (grown = (await daemon.ask('inUse')) - before) <= HEAP_BOUND;
    await until(settled, 15_000).catch(() => undefined);
    return grown;
  }

  function note({ waits, errors, late }, into, when) {
    for (const wait of waits) into.push(wait);
    if (waits.length === 0) violations.push(`no other client was served ${when}`);
    for (const [name, count] of Object.entries(errors))
      violations.push(`${count} × ${name} for other clients, ${when}`);
    if (late > 0) violations.push(`${late} callers were answered after their deadline, ${when}`);
  }

  function judge(grown, unhandled) {
    for (const waits of [calm, attacked]) waits.sort((a, b) => a - b);
    const [quietP99, loudP99] = [quantile(calm, 0.99), quantile(attacked, 0.99)];
    const compared = `p99 ${loudP99.toFixed(1)} ms, ${quietP99.toFixed(1)} ms without (${(loudP99 / quietP99).toFixed(1)} ×)`;
    if (!(loudP99 <= P99_FACTOR * quietP99)) violations.push(compared);
    if (grown > HEAP_BOUND) violations.push(`the heap has grown by ${mega(grown).toFixed(1)} MB`);
    for (const reason of unhandled) violations.push(`unhandled rejection: ${reason}`);
    const missed = attack.expect(last);
    if (missed) violations.push(`the attack was none: ${missed}`);
    const said = [
      attack.force(last),
      compared,
      `longest ${attacked.at(-1).toFixed(0)} ms, ${calm.at(-1).toFixed(0)} ms without`,
      `heap ${grown < 0 ? '−' : '+'}${mega(Math.abs(grown)).toFixed(1)} MB afterwards`,
      `at most ${mega(last.rss).toFixed(0)} MB resident`,
      `${attacked.length.toLocaleString('en-US')} calls of others`,
    ].join('; ');
    return { said, violations };
  }
}
