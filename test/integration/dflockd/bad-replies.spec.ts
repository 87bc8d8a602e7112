import { describe, expect, it } from '@jest/globals';
import { LockError } from '../../../lib/common/errors.js';
import { parseReply } from '../../../lib/protocol/reply-decoder.js';
import type { Request } from '../../../lib/protocol/messages.js';
import type { Peer } from '../../unit/backends/dflockd/support/fake-server.js';
import { inTime, until } from '../../support/until.js';
import { BadWorld, REPLY_KINDS, type ReplyKind, TOKEN } from './support/bad-replies.js';

/** The longest deadline, and the time that a loaded machine takes. */
const IN_TIME_MS = 4000;

/** A world for each of `treatments`, all at once; an assertion that fails says for which. */
async function each<T>(
  kind: ReplyKind,
  treatments: ReadonlyMap<string, T>,
  treat: (peer: Peer, treatment: T) => void,
  check: (world: BadWorld, outcome: unknown, treatment: T) => Promise<void> | void,
): Promise<void> {
  const all = [...treatments].map(async ([name, treatment]) => {
    const world = await BadWorld.open(kind, (peer) => treat(peer, treatment));
    try {
      const outcome = await inTime(world.ask(kind), 'the outcome', IN_TIME_MS);
      await check(world, outcome, treatment);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
    } finally {
      await world.close();
    }
  });
  await Promise.all(all);
}

/** The owners of all locks on the lane are told; those of other lanes keep them. */
async function expectLoss({ other, lost }: BadWorld, { shared }: ReplyKind): Promise<void> {
  if (shared) {
    await until(() => lost.includes('other disconnected'), 'the loss of the other lock');
    expect(other.isHeld).toBe(false);
  } else {
    expect(lost).toEqual([]);
    expect(other.isHeld).toBe(true);
  }
}

const closings: readonly [string, (peer: Peer) => void][] = [
  ['closes', (peer) => void peer.socket.end()],
  ['resets', (peer) => void setImmediate(() => peer.reset())],
];

describe.each(REPLY_KINDS)('a server whose reply to $of', (kind) => {
  const bytes = new Map(Array.from({ length: kind.reply.length }, (_, count) => [`byte ${count}`, count]));

  it.each(closings)(
    'is cut at any byte (it %s): the lane is lost, and all who care are told in time',
    async (_, end) => {
      const cut = (peer: Peer, count: number): void => {
        peer.say(kind.reply.slice(0, count));
        end(peer);
      };
      await each(kind, bytes, cut, async (world, outcome) => {
        if (kind.whenCut === undefined) expect(outcome).toBeInstanceOf(LockError);
        else expect(outcome).toBe(kind.whenCut);
        await expectLoss(world, kind);
      });
    },
  );

  it('is complete, and then closes: nobody believes in a lock', async () => {
    const finish = (peer: Peer): void => void peer.socket.end(kind.reply);
    await each(kind, new Map([['the end', 0]]), finish, async (world, outcome) => {
      await expectLoss(world, kind);
      const lock = outcome as { isHeld?: boolean } | null;
      await until(() => !lock?.isHeld, 'the end of belief');
    });
  });

  it('comes byte by byte is understood all the same', async () => {
    const trickle = async (peer: Peer): Promise<void> => {
      peer.socket.setNoDelay(true);
      for (const byte of kind.reply) {
        peer.say(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const world = await BadWorld.open(kind, (peer) => void trickle(peer));
    await inTime(world.ask(kind), 'the outcome', IN_TIME_MS);
    expect(world.lost).toEqual([]);
    expect(world.other.isHeld).toBe(true);
    await world.close();
  });

  it('never comes costs its caller no more than the deadline, and a healthy lane no lock', async () => {
    const world = await BadWorld.open(kind, () => undefined);
    const outcome = await inTime(world.ask(kind), 'the outcome', IN_TIME_MS);
    // A ticket that is still queued is not an error; nor is a release that is not known to have failed.
    if (outcome !== null && typeof outcome !== 'boolean') expect(outcome).toBeInstanceOf(LockError);
    expect(world.other.isHeld).toBe(true);
    await world.close();
  });

  it('makes no sense: the lane is closed, and all who care are told in time', async () => {
    const to = REQUESTS[kind.of] ?? 'acquire';
    const nonsense = NONSENSE.filter((line) => parseReply(line, to) === undefined);
    expect(nonsense.length).toBeGreaterThan(5);
    const lines = new Map(nonsense.map((line) => [JSON.stringify(line), line]));
    const say = (peer: Peer, line: string): void => peer.say(`${line}\n`);
    await each(kind, lines, say, async (world, outcome) => {
      if (kind.whenCut === undefined) expect(outcome).toBeInstanceOf(LockError);
      await expectLoss(world, kind);
    });
  });
});

/** What is asked, where it is no acquire. */
const REQUESTS: Readonly<Record<string, Request['t']>> = {
  'an enqueue': 'enqueue',
  'an enqueue that is granted': 'enqueue',
  'the wait behind an enqueue': 'wait',
  'a renewal': 'renew',
  'a release': 'release',
  stats: 'stats',
  'a ping': 'ping',
};

/** Lines that are no reply at all, and some that are a reply to something else. */
const NONSENSE: readonly string[] = [
  'banana',
  '',
  ' ',
  'OK',
  'okay',
  'ok',
  'ok ',
  'ok 33',
  'ok -1',
  'ok 1e3',
  `ok ${TOKEN}`,
  `ok ${TOKEN} `,
  `ok ${TOKEN} 0`,
  `ok ${TOKEN} x`,
  `ok ${TOKEN} 33 33`,
  'queued',
  'queued 1',
  'acquired',
  `acquired ${TOKEN} 33`,
  'timeout',
  'timeout 1',
  'sig channel payload',
  '\xff\x00\xfe',
  'HTTP/1.1 400 Bad Request',
];
