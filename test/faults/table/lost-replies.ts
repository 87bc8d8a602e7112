import type { Cut, Direction } from '../../support/proxy.js';
import { nanos } from '../log/time.js';
import { type Row, Scene } from './row.js';

const LEASE_S = 1;
const WAIT_S = 2.5;
/** Of the request `l`, and of the reply `ok`, its token and its lease. */
const REQUEST_BYTES = 'l\nk000-00\n0 1\n'.length;
const REPLY_BYTES = `ok ${'f'.repeat(32)} 1\n`.length;

interface Case {
  readonly direction: Direction;
  readonly after: number;
  readonly how: Cut;
}

const CASES: readonly Case[] = (['reset', 'end', 'hole'] as const).flatMap((how) => [
  ...Array.from({ length: REQUEST_BYTES + 1 }, (_, after): Case => ({ how, direction: 'up', after })),
  ...Array.from({ length: REPLY_BYTES + 1 }, (_, after): Case => ({ how, direction: 'down', after })),
]);

/**
 * The connection is cut at every byte from the request to the end of the reply, in three ways: whoever asked is answered by its
 * deadline, and no grant stays behind that nobody got.
 */
export function lostReplies(): Promise<Row> {
  return Scene.open({ readTimeout: 2, leaseSweepInterval: 0.25 }, async (scene) => {
    const { stage } = scene;
    await scene.holders(CASES.length, { leaseS: LEASE_S, waitS: WAIT_S });
    const asked: Promise<unknown>[] = [];
    for (const [index, { direction, after, how }] of CASES.entries()) {
      await stage.proxy.ask('cutAfter', index, after, how, direction);
      const post = stage.posts.findLast(({ firstClient }) => firstClient <= index)!;
      asked.push(post.child.ask('holdOne', index - post.firstClient));
    }
    const began = nanos();
    await Promise.all(asked);
    const longest = (nanos() - began) / 1e6;
    await scene.finish();
    await scene.untilNothingIsHeld(LEASE_S * 1000 + 2000);
    const evidence = await scene.logs();
    const granted = evidence.holds.length;
    const inVain = evidence.lives[0]!.grants.length - granted;
    const measured = `${CASES.length} callers answered, the last after ${longest.toFixed(0)} ms; ${inVain} grants reached no caller; none of them stayed held`;
    const fault = `reply lost after the grant: cut at every byte of request and reply, by reset, FIN, silence`;
    return scene.row(fault, 'no leaked grant; caller answered by its deadline', CASES.length, measured);
  });
}
