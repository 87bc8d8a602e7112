import { setTimeout as pause } from 'node:timers/promises';
import { type Evidence, type Hold, stalledWithin } from '../log/evidence.js';
import { nanos } from '../log/time.js';
import { ALLOWED } from '../checks/limits.js';
import { largest, middle, ms, type Row, Scene } from './row.js';

/** So many at a time: the news to one holder does not stand in the way of another's. */
const BATCH = 20;
const PROMISE = 'told ≤ 50 ms';

/**
 * How long after the fault the news came, and how much of that time holder, proxies or daemon did not run, or the system
 * took to end a killed daemon.
 */
interface Told {
  readonly ns: number;
  readonly stalledNs: number;
}

/** Each loss after a fault. */
function toldAfter(logs: Evidence, faultOf: (hold: Hold) => number | undefined): Told[] {
  const { holds, stalls, proxyStalls, lives } = logs;
  const carriers = [...proxyStalls, ...lives.flatMap((life) => life.stalls)];
  return holds.flatMap((hold) => {
    const { lostAt, worker } = hold;
    const at = faultOf(hold);
    if (lostAt === undefined || at === undefined) return [];
    return [{ ns: lostAt - at, stalledNs: stalledWithin([...(stalls.get(worker) ?? []), ...carriers], at, lostAt) }];
  });
}

/** On a busy machine processes wait for a processor: a holder that does not run cannot be told. */
function judgeTold(scene: Scene, all: readonly Told[], runs: number): string {
  scene.expect(all.length === runs, `${runs} holders, and ${all.length} were told`);
  const late = all.filter(({ ns, stalledNs }) => ns - stalledNs > ALLOWED.cutNs);
  const texts = late.map(({ ns, stalledNs }) => `${ms(ns)} (stalled for ${ms(stalledNs)})`);
  scene.expect(late.length === 0, `told too late: ${texts.join(', ')} ms after the fault`);
  const told = all.map(({ ns }) => ns);
  const running = largest(all.map(({ ns, stalledNs }) => ns - stalledNs));
  return `${ms(middle(told))} ms, at most ${ms(largest(told))} ms (${ms(running)} ms without stalls)`;
}

/** A connection is reset, one after the other. */
export function reset(runs: number): Promise<Row> {
  return cutOneByOne('connection reset', runs, (proxy, client) => proxy.ask<number>('reset', client));
}

/** The daemon is killed; another one starts on its port, and gives the locks anew. */
export function daemonKilled(runs: number): Promise<Row> {
  return Scene.open({}, async (scene) => {
    const told: Told[] = [];
    for (let first = 0; first < runs; first += BATCH) {
      const killedAt = await killUnder(scene, Math.min(BATCH, runs - first), first);
      const mine = ({ key }: Hold): boolean => key.startsWith(`k${first}-`);
      told.push(...toldAfter(await scene.logs(), (hold) => (mine(hold) ? killedAt : undefined)));
    }
    const measured = judgeTold(scene, told, runs);
    return scene.row('daemon killed, and restarted', PROMISE, runs, measured);
  });
}

async function killUnder(scene: Scene, locks: number, first: number): Promise<number> {
  const { stage } = scene;
  const options = { leaseS: 30, waitS: 5, readTimeoutS: 2 };
  const post = await stage.addWorker('holder', locks, [JSON.stringify({ ...options, prefix: `k${first}-` })], {
    door: 'direct',
  });
  const held = await post.child.ask<number>('hold');
  scene.expect(held === locks, `${held} of ${locks} locks were granted by the daemon`);
  const killedAt = nanos();
  await stage.restartDaemon();
  await pause(100);
  const settled = await post.child.ask<string[]>('settle');
  scene.expect(
    settled.every((one) => one === 'lost'),
    'a method under a lost lock was reported as a success',
  );
  return killedAt;
}

/** Half a connection ends, towards the daemon or towards the holder. */
export function halfClosed(runs: number): Promise<Row> {
  return cutOneByOne('connection half closed, either way', runs, (proxy, client) =>
    proxy.ask<number>('halfClose', client, client % 2 ? 'up' : 'down'),
  );
}

/** @param cut breaks the connection of a client, and says when */
function cutOneByOne(
  name: string,
  runs: number,
  cut: (proxy: Scene['stage']['proxy'], client: number) => Promise<number>,
): Promise<Row> {
  return Scene.open({}, async (scene) => {
    await scene.holders(runs, {});
    await scene.ask('hold');
    const cutAt = new Map<number, number>();
    for (let client = 0; client < runs; client++) {
      cutAt.set(client, await cut(scene.stage.proxy, client));
      await pause(2);
    }
    await pause(300);
    await scene.allSettleAsLost();
    const told = toldAfter(await scene.logs(), ({ client }) => cutAt.get(client));
    return scene.row(name, PROMISE, runs, judgeTold(scene, told, runs));
  });
}
