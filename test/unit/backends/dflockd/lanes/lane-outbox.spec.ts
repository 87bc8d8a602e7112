import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Socket } from 'node:net';
import { Exchange } from '../../../../../lib/backends/dflockd/lanes/exchange.js';
import { LaneOutbox } from '../../../../../lib/backends/dflockd/lanes/lane-outbox.js';
import { FakeClock } from '../../../../support/fake-clock.js';

let clock: FakeClock;
let log: string[];
let outbox: LaneOutbox;
let last: Exchange | undefined;

const socket = {
  write: (text: string, encoding: string) =>
    log.push(`${encoding} ${text.split('\n')[0]!} × ${text.match(/ping/g)!.length}`),
  ref: () => log.push('ref'),
  unref: () => log.push('unref'),
  destroy: () => log.push('destroy'),
} as unknown as Socket;

/** As a lane does: each knows the next one. */
function add(atOnce: boolean, patience = 500): Exchange {
  const exchange = new Exchange({ t: 'ping' }, undefined, patience);
  if (last) last.next = exchange;
  last = exchange;
  outbox.add(exchange, atOnce);
  return exchange;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  log = [];
  last = undefined;
  outbox = new LaneOutbox(
    clock,
    () => log.push('sent'),
    () => log.push('awaited'),
  );
});

describe('what a lane sends', () => {
  it('waits for the connection, and leaves in one write', async () => {
    const [a, b] = [add(true), add(true, 700)];
    await turn();
    // For the first of them.
    expect([log, outbox.first]).toEqual([['awaited'], a]);
    expect([a.sentAt, a.dueAt]).toEqual([0, Infinity]);
    clock.advance(100);
    outbox.open(socket);
    expect(log.slice(1)).toEqual(['ref', 'latin1 ping × 2', 'sent']);
    expect([a.sentAt, a.dueAt, b.sentAt, b.dueAt]).toEqual([1100, 1600, 1100, 1800]);
    expect([outbox.first, outbox.lastSend]).toEqual([undefined, 1100]);
  });

  it('leaves at once where that is asked for, and else at the end of the turn', async () => {
    outbox.open(socket);
    expect([log, outbox.lastSend]).toEqual([[], 1000]);
    clock.advance(10);
    const first = add(true);
    expect(log).toEqual(['ref', 'latin1 ping × 1', 'sent']);
    expect([first.sentAt, outbox.lastSend]).toEqual([1010, 1010]);
    clock.advance(10);
    const second = add(false);
    add(true);
    expect([log.length, second.sentAt]).toEqual([3, 0]);
    await turn();
    expect(log.slice(3)).toEqual(['latin1 ping × 2', 'sent']);
    expect([first.sentAt, second.sentAt]).toEqual([1010, 1020]);
  });

  it('keeps the process alive until its answer has come', () => {
    outbox.open(socket);
    add(true);
    add(true);
    outbox.idle();
    add(true);
    expect(log.filter((what) => what.endsWith('ref'))).toEqual(['ref', 'unref', 'ref']);
  });

  it('is dropped when the connection is closed', async () => {
    outbox.open(socket);
    add(false);
    outbox.close();
    outbox.close();
    outbox.idle();
    await turn();
    expect(log).toEqual(['destroy']);
    expect(outbox.first).toBeDefined();
  });

  it('may be closed, and idle, without a connection', () => {
    outbox.idle();
    outbox.close();
    expect(log).toEqual([]);
  });
});
