import { setTimeout as pause } from 'node:timers/promises';
import type { FirstLook } from '../processes/holder.js';
import { largest, type Row, Scene } from './row.js';

const SUSPEND_PROMISE = 'first read is false; no success reported';
const PROMISE = 'first read is false; told by the end of the next whole turn; no success reported';
const LEASE_S = 1;
const STALL_MS = 2200;
/** What is left of the turn that the stall was in, and one whole turn, whose poll might still have brought an answer. */
const TURNS = 2;
/** No timer of the library rings because of a sleep: the look that notices it sets one. */
const WAKING_TURNS = 20;

function judgeLooks(
  scene: Scene,
  looks: readonly (FirstLook | undefined)[],
  { runs, most }: { runs: number; most: number },
): string {
  const seen = looks.flatMap((look) => look ?? []);
  const sum = (of: (look: FirstLook) => number): number => seen.reduce((total, look) => total + of(look), 0);
  scene.expect(sum(({ locks }) => locks) === runs, `${sum(({ locks }) => locks)} of ${runs} locks were looked at`);
  scene.expect(sum(({ falselyHeld }) => falselyHeld) === 0, 'isHeld was true at the first read');
  scene.expect(sum(({ assertPassed }) => assertPassed) === 0, 'assertHeld() passed at the first read');
  const turns = largest(seen.map((look) => look.turns));
  scene.expect(
    seen.every((look) => look.turns >= 0 && look.turns <= most),
    `lockLost$ told after ${turns} turns`,
  );
  return `first read false in ${runs} of ${runs}; lockLost$ in turn ${turns}`;
}

/** A process stands still for longer than its leases. */
function stall(fault: string, runs: number, still: (scene: Scene) => Promise<unknown>): Promise<Row> {
  return Scene.open({ leaseSweepInterval: 0.25 }, async (scene) => {
    await scene.holders(runs, { leaseS: LEASE_S, readTimeoutS: 23 });
    await scene.ask('hold');
    await still(scene);
    await pause(300);
    const measured = judgeLooks(scene, await scene.ask<FirstLook>('firstLook'), { runs, most: TURNS });
    await scene.allSettleAsLost();
    return scene.row(fault, PROMISE, runs, measured);
  });
}

export const blocked = (runs: number): Promise<Row> =>
  stall('event loop blocked past the lease', runs, (scene) => scene.ask('block', STALL_MS));

export const stopped = (runs: number): Promise<Row> =>
  stall('process stopped (SIGSTOP) past the lease', runs, async ({ stage }) => {
    for (const { child } of stage.posts) child.stop();
    await pause(STALL_MS);
    for (const { child } of stage.posts) child.continue();
  });

/**
 * The daemon has closed all connections for silence, and said `error` before (spec 1.5); what a process says first when it
 * runs again crosses that. It stands still once more before it reads the end: what was lost must not read as held meanwhile,
 * for which the check of the windows looks at the daemon's log.
 */
export function blockedTwice(runs: number): Promise<Row> {
  return Scene.open({ readTimeout: 1 }, async (scene) => {
    await scene.holders(runs, { leaseS: 30, readTimeoutS: 1 });
    await scene.ask('hold');
    const first = scene.ask('block', STALL_MS);
    await pause(500);
    await Promise.all([first, scene.ask('block', 150)]);
    await pause(300);
    const measured = judgeLooks(scene, await scene.ask<FirstLook>('firstLook'), { runs, most: TURNS });
    await scene.allSettleAsLost();
    return scene.row('event loop blocked past the read timeout, and again', PROMISE, runs, measured);
  });
}

/** The machine sleeps: its monotonic clock stands still, and its uptime does not (injected clock). */
export function suspended(runs: number): Promise<Row> {
  return Scene.open({}, async (scene) => {
    await scene.holders(runs, { leaseS: 5, readTimeoutS: 23 });
    await scene.ask('hold');
    const looks = await scene.ask<FirstLook>('jump', 'suspend', 6000);
    const measured = judgeLooks(scene, looks, { runs, most: WAKING_TURNS });
    await scene.allSettleAsLost();
    return scene.row('machine suspended past the lease (injected clock)', SUSPEND_PROMISE, runs, measured);
  });
}

/** The wall clock is set: that says nothing about leases. */
export function wallClockSet(runs: number): Promise<Row> {
  return Scene.open({}, async (scene) => {
    await scene.holders(runs, { leaseS: 5, readTimeoutS: 23 });
    await scene.ask('hold');
    for (const byMs of [86_400_000, -172_800_000, 3000]) {
      await scene.ask('jump', 'wall', byMs);
      const held = (await scene.ask<number>('stillHeld')).reduce((a, b) => a + b, 0);
      scene.expect(held === runs, `${runs - held} locks were lost when the wall clock was set by ${byMs} ms`);
    }
    const settled = (await scene.ask<string[]>('settle')).flat();
    scene.expect(
      settled.every((one) => one === 'success'),
      'a lock was lost',
    );
    return scene.row('wall clock set (injected clock)', 'nothing is lost', runs, 'nothing lost');
  });
}
