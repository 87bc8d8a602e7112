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
/** Of the other clients: four, each with two command lanes and a control lane. */
const OTHERS = 4 * 3;

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

/** Slices with and without an attack, in turn, in the same run. */
export async function siege(build, attack) {
  const children = [startDaemon(build), startCallers(build), startAttackers()];
  const [daemon, callers, attackers] = children;
  const seen = { peak: 0, left: Infinity, cut: 0, opened: 0, replies: 0 };
  const calm = [];
  const attacked = [];
  const violations = [];
  try {
    const address = await daemon.ask('listen');
    await callers.ask('open', clientOptions(address));
    await callers.ask('slice', WARM_UP_MS);
    // The first attack also makes tables grow that are kept for the next: what is lost from then on is a leak.
    await underAttack(attack.sliceMs, []);
    const before = await daemon.ask('inUse');
    let rss = 0;
    for (let round = 0; round < attack.rounds; round++) {
      await withoutAttack();
      await underAttack(attack.sliceMs, attacked);
      rss = Math.max(rss, await daemon.ask('rss'));
    }
    await withoutAttack();
    const grown = await until(async () => {
      const more = (await daemon.ask('inUse')) - before;
      return more <= HEAP_BOUND ? { more } : undefined;
    }, 15_000).catch(async () => ({ more: (await daemon.ask('inUse')) - before }));
    return judge(grown.more, rss, await rejections());
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }

  async function rejections() {
    return [...(await daemon.ask('rejections')), ...(await callers.ask('rejections'))];
  }

  async function withoutAttack() {
    note(await callers.ask('slice', attack.sliceMs), calm, 'without an attack');
  }

  async function underAttack(ms, into) {
    await attackers.ask('begin', { kind: attack.kind, address: await addressOf(), ...attack.during });
    const slice = callers.ask('slice', ms);
    const looking = watch(slice);
    note(await slice, into, 'under attack');
    await looking;
    if (attack.kind === 'keys') await attackers.ask('finished');
    // What ends an attack may hurt as much as the attack: all its connections at once.
    const ending = callers.ask('slice', 500);
    const counts = await attackers.ask('end');
    note(await ending, into, 'at the end of an attack');
    for (const name of ['cut', 'opened', 'replies']) seen[name] = counts[name];
    await until(onlyOthers, 15_000, 'that all attackers are gone').catch(async (error) => {
      throw new Error(`${error.message}: ${await daemon.ask('connections')} connections`, { cause: error });
    });
  }

  async function onlyOthers() {
    return (await daemon.ask('connections')) <= OTHERS;
  }

  async function addressOf() {
    return (seen.address ??= await daemon.ask('address'));
  }

  async function watch(slice) {
    let over = false;
    void slice.then(() => (over = true));
    while (!over) {
      seen.peak = Math.max(seen.peak, (await attackers.ask('counts')).open);
      // Who does not read does not notice that it was cut off.
      seen.left = Math.min(seen.left, await daemon.ask('connections'));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  function note({ waits, errors, late }, into, when) {
    for (const wait of waits) into.push(wait);
    if (waits.length === 0) violations.push(`no other client was served ${when}`);
    for (const [name, count] of Object.entries(errors))
      violations.push(`${count} × ${name} for other clients, ${when}`);
    if (late > 0) violations.push(`${late} callers were answered after their deadline, ${when}`);
  }

  function judge(grown, rss, unhandled) {
    const p99 = (waits) =>
      quantile(
        waits.sort((a, b) => a - b),
        0.99,
      );
    const [quiet, loud] = [p99(calm), p99(attacked)];
    if (loud > P99_FACTOR * quiet)
      violations.push(`p99 ${loud.toFixed(1)} ms, without the attack ${quiet.toFixed(1)} ms`);
    if (grown > HEAP_BOUND) violations.push(`the heap has grown by ${mega(grown).toFixed(1)} MB`);
    for (const reason of unhandled) violations.push(`unhandled rejection: ${reason}`);
    const missed = attack.expect?.(seen);
    if (missed) violations.push(`the attack was none: ${missed}`);
    const said = [
      `p99 ${loud.toFixed(1)} ms, ${quiet.toFixed(1)} ms without (${(loud / quiet).toFixed(1)} ×)`,
      `longest ${attacked.at(-1).toFixed(0)} ms, ${calm.at(-1).toFixed(0)} ms without`,
      `heap ${grown < 0 ? '−' : '+'}${mega(Math.abs(grown)).toFixed(1)} MB afterwards`,
      `at most ${mega(rss).toFixed(0)} MB resident`,
      `${attacked.length.toLocaleString('en-US')} calls of others`,
    ].join('; ');
    return { said, violations };
  }
}
