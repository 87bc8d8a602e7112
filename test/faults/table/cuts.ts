import type { Evidence } from '../log/evidence.js';
import { nanos } from '../log/time.js';
import { pause } from '../lab/round.js';
import { ALLOWED } from '../checks/limits.js';
import { largest, middle, ms, type Row, Scene } from './row.js';

/** So many at a time: the news to one holder does not stand in the way of another's. */
const BATCH = 20;
const PROMISE = 'told ≤ 50 ms';

/** From the fault to the news, for each loss after it. */
function toldAfter(evidence: Evidence, faultOf: (client: number) => number | undefined): number[] {
  return evidence.holds.flatMap(({ client, lostAt }) => {
    const at = faultOf(client);
    return lostAt !== undefined && at !== undefined ? [lostAt - at] : [];
  });
}

function judgeTold(scene: Scene, told: readonly number[], runs: number): string {
  scene.expect(told.length === runs, `${runs} holders, and ${told.length} were told`);
  const late = told.filter((ns) => ns > ALLOWED.cutNs);
  scene.expect(late.length === 0, `told too late: ${late.map(ms).join(', ')} ms after the fault`);
  return `${ms(middle(told))} ms, at most ${ms(largest(told))} ms`;
}

/** A connection is reset, one after the other. */
export function reset(runs: number): Promise<Row> {
  return Scene.open({}, async (scene) => {
    await scene.holders(runs, {});
    await scene.ask('hold');
    const cutAt = new Map<number, number>();
    for (let client = 0; client < runs; client++) {
      cutAt.set(client, await scene.stage.proxy.ask<number>('reset', client));
      await pause(2);
    }
    await pause(300);
    const before = await scene.judged();
    const measured = judgeTold(
      scene,
      toldAfter(before, (client) => cutAt.get(client)),
      runs,
    );
    return scene.row('connection reset', PROMISE, runs, measured, await scene.judged());
  });
}

/** The daemon is killed; another one starts on its port, and gives the locks anew. */
export function daemonKilled(runs: number): Promise<Row> {
  return Scene.open({}, async (scene) => {
    const told: number[] = [];
    for (let first = 0; first < runs; first += BATCH) {
      const killedAt = await killUnder(scene, Math.min(BATCH, runs - first), first);
      const { holds } = await scene.judged();
      for (const hold of holds) {
        if (hold.lostAt !== undefined && hold.key.startsWith(`k${first}-`)) told.push(hold.lostAt - killedAt);
      }
    }
    const measured = judgeTold(scene, told, runs);
    return scene.row('daemon killed, and restarted', PROMISE, runs, measured, await scene.judged());
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
  await post.child.ask('finish');
  return killedAt;
}

/** Half a connection ends, towards the daemon or towards the holder. */
export function halfClosed(runs: number): Promise<Row> {
  return Scene.open({}, async (scene) => {
    await scene.holders(runs, {});
    await scene.ask('hold');
    const cutAt = new Map<number, number>();
    for (let client = 0; client < runs; client++) {
      const direction = client % 2 ? 'up' : 'down';
      cutAt.set(client, await scene.stage.proxy.ask<number>('halfClose', client, direction));
      await pause(2);
    }
    await pause(300);
    const before = await scene.judged();
    const measured = judgeTold(
      scene,
      toldAfter(before, (client) => cutAt.get(client)),
      runs,
    );
    return scene.row('connection half closed, either way', PROMISE, runs, measured, await scene.judged());
  });
}
