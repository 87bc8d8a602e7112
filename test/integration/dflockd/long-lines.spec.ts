import { describe, expect, it } from '@jest/globals';
import { LockError } from '../../../lib/common/errors.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import type { Peer } from '../../unit/backends/dflockd/support/fake-server.js';
import { FakeServer } from '../../unit/backends/dflockd/support/fake-server.js';
import { inTime, until } from '../../support/until.js';
import { BadWorld, REPLY_KINDS, type ReplyKind } from './support/bad-replies.js';

const MB = 1024 * 1024;
const PIECE = Buffer.alloc(MB / 4, 'x');
const LINE = 100 * MB;
/** What the kernel's buffers of a connection on one machine take, and then some. */
const BUFFERS = 16 * MB;
/** As much as a client takes of one reply (REPLY_LINE_CAP); of others than stats much less. */
const LONGEST_REPLY = 64 * MB;

/** A line without end to one peer, as fast as it is taken; and how much memory the process had meanwhile. */
class Flood {
  sent = 0;
  peak = 0;
  readonly before = this.memory();

  pour(peer: Peer): void {
    const { socket } = peer;
    while (this.sent < LINE && !socket.destroyed) {
      this.peak = Math.max(this.peak, this.memory());
      this.sent += PIECE.length;
      if (!socket.write(PIECE)) return void socket.once('drain', () => this.pour(peer));
    }
  }

  private memory(): number {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  }
}

const kind = (of: string): ReplyKind => REPLY_KINDS.find((one) => one.of === of)!;

describe('a reply of 100 MB without a line break', () => {
  it.each([
    ['a try that is granted', 0],
    ['an acquire that waits', 0],
    ['the wait behind an enqueue', 0],
    ['a renewal', 0],
    ['stats', LONGEST_REPLY],
  ])('is cut off before it costs memory: %s', async (of, taken) => {
    const floods: Flood[] = [];
    const world = await BadWorld.open(kind(of), (peer) => {
      const flood = new Flood();
      floods.push(flood);
      flood.pour(peer);
    });
    const outcome = await inTime(world.ask(kind(of)), 'the outcome');
    expect(outcome).toBeInstanceOf(LockError);
    if (kind(of).shared) await until(() => world.lost.includes('other disconnected'), 'the loss');
    else expect(world.other.isHeld).toBe(true);
    await world.close();
    expect(floods.length).toBeGreaterThan(0);
    for (const { sent, peak, before } of floods) {
      expect(sent).toBeGreaterThan(0);
      expect(sent).toBeLessThan(taken + BUFFERS);
      // Text and, for a moment, the bytes that it came from.
      expect(peak - before).toBeLessThan(2 * taken + 4 * BUFFERS);
    }
  });

  it('is cut off when it comes instead of a greeting', async () => {
    const flood = new Flood();
    const server = await FakeServer.start((_, peer) => void flood.pour(peer));
    const client = LockClient.connect({
      servers: [server.endpoint.label],
      remote: {
        auth: 'secret',
        commandLanes: 1,
        connectTimeoutMs: 1000,
        reconnect: { minDelayMs: 10_000, maxDelayMs: 10_000 },
      },
      startup: 'require',
    });
    await expect(inTime(client, 'the refusal')).rejects.toThrow('something other than dflockd answered');
    await server.close();
    expect(flood.sent).toBeLessThan(BUFFERS);
  });
});
