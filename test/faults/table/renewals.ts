import { setTimeout as pause } from 'node:timers/promises';
import { Fates } from '../checks/fates.js';
import { lossesOf } from '../checks/window.js';
import { largest, middle, ms, type Row, Scene } from './row.js';

/** Of a place in the queue, by default. */
const PLACE_LEASE_MS = 3000;

/**
 * Those who wait are granted their locks for a short time, and their renewals to the wanted lease are lost on the way: only
 * the short one is sure.
 */
export function lostRenewals(runs: number): Promise<Row> {
  return Scene.open({ leaseSweepInterval: 0.25 }, async (scene) => {
    const { stage } = scene;
    await scene.holders(runs, { readTimeoutS: 23 }, 'direct');
    await scene.ask('hold');
    const before = stage.posts.length;
    await scene.holders(runs, { readTimeoutS: 23, waitS: 10 });
    const waiting = stage.posts.slice(before);
    await Promise.all(waiting.map(({ child }) => child.ask('want')));
    await pause(300);
    await stage.proxy.ask('hole', 'all', ['up']);
    await Promise.all(stage.posts.slice(0, before).map(({ child }) => child.ask('settle')));
    await pause(PLACE_LEASE_MS + 1500);
    const settled = (await Promise.all(waiting.map(({ child }) => child.ask<string[]>('settle')))).flat();
    scene.expect(
      settled.every((one) => one === 'lost'),
      `methods under locks whose renewals were lost were reported as ${[...new Set(settled)].join(', ')}`,
    );
    await stage.proxy.ask('pass', 'all');
    const evidence = await scene.logs();
    const losses = lossesOf(evidence, new Fates(evidence)).filter(({ hold }) => hold.client < 1e6);
    const windows = losses.map(({ windowNs }) => windowNs);
    scene.expect(losses.length === runs, `${losses.length} of ${runs} were lost`);
    scene.expect(
      windows.every((window) => window <= 0),
      'a holder was told after the daemon had freed its lock',
    );
    const measured = `told ${ms(-middle(windows))} ms before, at least ${ms(-largest(windows))} ms`;
    const fault = 'the first renewal after a wait is lost (black hole at the grant)';
    return scene.row(fault, 'told before the daemon frees the lock', runs, measured);
  });
}
