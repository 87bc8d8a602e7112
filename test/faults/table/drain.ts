import { setTimeout as pause } from 'node:timers/promises';
import { stalledWithin } from '../log/evidence.js';
import { ALLOWED } from '../checks/limits.js';
import { largest, middle, ms, type Row, Scene } from './row.js';

/** Longer than the time between two heartbeats, shorter than the silence after which a lane is not sure any more. */
const WORK_ON_MS = 800;

/**
 * The daemon says that it is going: holders are told as soon as its answer has come, and keep the lock while they finish; no
 * heartbeat gives it up.
 */
export function drain(runs: number): Promise<Row> {
  return Scene.open({ readTimeout: 2 }, async (scene) => {
    const { stage } = scene;
    await scene.holders(runs, {});
    await scene.ask('hold');
    await stage.proxy.ask('watchDrain');
    const leaving = stage.drainInBackground();
    await pause(900 + WORK_ON_MS);
    const stillHeld = (await scene.ask<number>('stillHeld')).reduce((a, b) => a + b, 0);
    scene.expect(stillHeld === runs, `${runs - stillHeld} of ${runs} locks were given up before their work was done`);
    const settled = (await scene.ask<string[]>('settle')).flat();
    scene.expect(
      settled.every((one) => one === 'success'),
      'work that ended in time was not a success',
    );
    await leaving;
    const told = await toldAfterAnswer(scene);
    scene.expect(told.length === runs, `${told.length} of ${runs} were told`);
    const running = largest(told.map(({ ns, stalledNs }) => ns - stalledNs));
    scene.expect(running <= ALLOWED.cutNs, `told ${ms(running)} ms after the answer`);
    const times = told.map(({ ns }) => ns);
    const measured = `${ms(middle(times))} ms, at most ${ms(largest(times))} ms (${ms(running)} ms without stalls); all kept until their work was done`;
    return scene.row('daemon drains (SIGTERM)', 'told ≤ 50 ms after its answer; not given up early', runs, measured);
  });
}

/** From the first `error_draining` on a client's connections until its holder's signal aborted. */
async function toldAfterAnswer(scene: Scene): Promise<{ ns: number; stalledNs: number }[]> {
  const { stage } = scene;
  const { holds, stalls } = await scene.logs();
  const workerOf = new Map(holds.map(({ client, worker }) => [client, worker]));
  const answered = new Map<number, number>();
  for (const { at, client } of await stage.proxyLines('D')) if (!answered.has(client)) answered.set(client, at);
  const told = await stage.workerLines('a');
  return told.flatMap(({ at, client }) => {
    const answer = answered.get(client);
    if (answer === undefined) return [];
    const stalledNs = stalledWithin(stalls.get(workerOf.get(client)!) ?? [], answer, at);
    return [{ ns: at - answer, stalledNs }];
  });
}
