import { setTimeout as pause } from 'node:timers/promises';
import { Fates } from '../checks/fates.js';
import { lossesOf } from '../checks/window.js';
import { largest, middle, ms, type Row, Scene } from './row.js';

const READ_TIMEOUT_S = 2;

/**
 * What cannot be promised: the daemon sees the connection end, and nothing reaches the holder. It believes until its silence is
 * as old as the read timeout; the rival has the lock, and the greater fence.
 */
export function unseenReset(runs: number): Promise<Row> {
  return Scene.open({ readTimeout: READ_TIMEOUT_S }, async (scene) => {
    const { stage } = scene;
    await scene.holders(runs, { readTimeoutS: READ_TIMEOUT_S });
    await scene.ask('hold');
    const mine = stage.posts.length;
    await scene.holders(runs, { readTimeoutS: READ_TIMEOUT_S }, 'direct');
    await Promise.all(stage.posts.slice(mine).map(({ child }) => child.ask('want')));
    await pause(300);
    await stage.proxy.ask('hole', 'all', ['up', 'down']);
    await stage.proxy.ask('resetServers', 'all');
    await pause(READ_TIMEOUT_S * 1000 + 500);
    await stage.proxy.ask('pass', 'all');
    await scene.finish();
    const evidence = await scene.logs();
    const losses = lossesOf(evidence, new Fates(evidence)).filter(({ hold }) => hold.client < 1e6);
    const windows = losses.map(({ windowNs }) => windowNs);
    scene.expect(losses.length === runs, `${losses.length} of ${runs} were lost`);
    scene.expect(largest(windows) <= READ_TIMEOUT_S * 1e9, 'a holder believed for longer than the read timeout');
    const refused = losses.filter(({ hold }) =>
      evidence.holds.some(({ key, fence, worker }) => key === hold.key && worker !== hold.worker && fence > hold.fence),
    );
    scene.expect(refused.length === runs, 'a rival had no greater fence');
    return {
      fault: 'reset that only the daemon sees',
      promise: 'nothing: only a fence protects',
      runs,
      measured: `believed for ${ms(middle(windows))} ms, at most ${ms(largest(windows))} ms, while a rival held the lock with a higher fence`,
      violations: scene.violations,
      evidence,
    };
  });
}
