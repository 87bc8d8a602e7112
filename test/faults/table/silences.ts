import { setTimeout as pause } from 'node:timers/promises';
import type { Direction } from '../../support/proxy.js';
import { Fates } from '../checks/fates.js';
import { lossesOf } from '../checks/window.js';
import { nanos } from '../log/time.js';
import { largest, middle, ms, type Row, type Scale, Scene } from './row.js';

interface Silence {
  readonly fault: string;
  begin(scene: Scene): Promise<unknown>;
  end(scene: Scene): Promise<unknown>;
  /** How long it lasts beyond the read timeout. */
  readonly beyondMs: number;
}

const hole = (name: string, directions: readonly Direction[]): Silence => ({
  fault: `black hole ${name}`,
  begin: ({ stage }) => stage.proxy.ask('hole', 'all', directions),
  end: ({ stage }) => stage.proxy.ask('pass', 'all'),
  beyondMs: 1500,
});

/** What makes a connection silent without ending it. */
export const SILENCES: readonly Silence[] = [
  hole('towards the daemon', ['up']),
  hole('towards the holder', ['down']),
  hole('both ways', ['up', 'down']),
  {
    fault: 'daemon stopped (SIGSTOP)',
    begin: async ({ stage }) => stage.daemon.stop(),
    end: async ({ stage }) => stage.daemon.continue(),
    beyondMs: 700,
  },
  {
    fault: 'proxy frozen (SIGSTOP)',
    begin: async ({ stage }) => stage.proxy.stop(),
    end: async ({ stage }) => stage.proxy.continue(),
    beyondMs: 1500,
  },
];

/**
 * Holders whose connections fall silent, while rivals wait for their locks at the daemon itself: everybody is told before
 * the daemon frees the lock.
 */
export function silence({ fault, begin, end, beyondMs }: Silence, { readTimeoutS, locks }: Scale): Promise<Row> {
  return Scene.open({ readTimeout: readTimeoutS }, async (scene) => {
    const { stage } = scene;
    await scene.holders(locks, { readTimeoutS });
    const held = await scene.ask<number>('hold');
    const mine = stage.posts.length;
    scene.expect(
      held.reduce((a, b) => a + b, 0) === locks,
      `not all of ${locks} locks were granted: ${held.join(', ')}`,
    );
    await scene.holders(locks, { readTimeoutS, waitS: readTimeoutS + 8 }, 'direct');
    await Promise.all(stage.posts.slice(mine).map(({ child }) => child.ask('want')));
    // Somewhere between two heartbeats.
    await pause(readTimeoutS * 150);
    const faultAt = nanos();
    await begin(scene);
    await pause(readTimeoutS * 1000 + beyondMs);
    await end(scene);
    await pause(800);
    const settled = await Promise.all(stage.posts.slice(0, mine).map(({ child }) => child.ask<string[]>('settle')));
    scene.expect(
      settled.flat().every((one) => one === 'lost'),
      'a method under a lost lock was reported as a success',
    );
    const evidence = await scene.logs();
    const losses = lossesOf(evidence, new Fates(evidence)).filter(({ hold }) => hold.client < 1e6);
    scene.expect(losses.length === locks, `${losses.length} of ${locks} were lost`);
    const windows = losses.map(({ windowNs }) => windowNs);
    scene.expect(
      windows.every((window) => window <= 0),
      `a holder was told after the daemon had freed its lock`,
    );
    const measured = `told ${ms(-middle(windows))} ms before, at least ${ms(-largest(windows))} ms`;
    const timeout = readTimeoutS === 2 ? '' : `, read timeout ${readTimeoutS} s`;
    const row = await scene.row(fault + timeout, 'told before the daemon frees the lock', locks, measured);
    return { ...row, faultAt };
  });
}
