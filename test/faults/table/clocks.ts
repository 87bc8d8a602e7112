import { setTimeout as pause } from 'node:timers/promises';
import { Fates } from '../checks/fates.js';
import { lossesOf } from '../checks/window.js';
import { largest, middle, ms, type Row, Scene } from './row.js';

const LEASE_S = 4;

/**
 * The holder's monotonic clock runs at a third of the machine's pace, its uptime does not: the daemon, whose clock is right,
 * ends the lease long before the holder's timer would. Who looks knows before.
 */
export function slowClock(runs: number): Promise<Row> {
  return Scene.open({ readTimeout: 60 }, async (scene) => {
    await scene.holders(runs, { leaseS: LEASE_S, readTimeoutS: 60, clock: 'slow', autoRenew: false });
    await scene.ask('hold');
    await pause(LEASE_S * 1000 + 1500);
    const evidence = await scene.logs();
    const windows = lossesOf(evidence, new Fates(evidence)).map(({ windowNs }) => windowNs);
    scene.expect(windows.length === runs, `${windows.length} of ${runs} were lost`);
    scene.expect(
      windows.every((window) => window <= 0),
      'a holder believed in what the daemon had freed',
    );
    const settled = (await scene.ask<string[]>('settle')).flat();
    scene.expect(
      settled.every((one) => one === 'lost'),
      'a method under a lost lock was reported as a success',
    );
    const measured = `read as lost ${ms(-middle(windows))} ms before the daemon freed it, at least ${ms(-largest(windows))} ms`;
    const fault = 'clocks that diverge: monotonic clock at a third of its pace (injected)';
    return scene.row(fault, 'first read after the lease is false', runs, measured);
  });
}
