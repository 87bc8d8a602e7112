import { describe, expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for a script
import * as lanes from '../../../bench/support/pair-lane.mjs';

interface Lane {
  socket: { write(bytes: Buffer): void; destroy(error: Error): void };
  done(pairs: number): void;
  start(deadline: { passed: boolean }): void;
  onBytes(count: number, bytes: Buffer): void;
}
const PairLane = lanes.PairLane as new (keys: string[]) => Lane;

const GRANT = `ok ${'0'.repeat(32)} 30\n`;

describe('a lane of acquires and releases', () => {
  function open() {
    const lane = new PairLane(['k0', 'k1']);
    const errors: string[] = [];
    const deadline = { passed: false };
    let pairs: number | undefined;
    lane.socket = { write: () => undefined, destroy: ({ message }) => void errors.push(message) };
    lane.done = (count) => (pairs = count);
    const receive = (text: string): void => lane.onBytes(text.length, Buffer.from(text, 'latin1'));
    return { errors, receive, deadline, start: () => lane.start(deadline), pairs: () => pairs };
  }

  it('names the request that was refused, and why', () => {
    const { errors, receive, start } = open();
    start();
    receive(`${GRANT}error_max_locks\n`);
    expect(errors).toEqual(['the daemon has answered "error_max_locks" to the acquire of k1']);
  });

  it('says when a release came after the lease', () => {
    const { errors, receive, start } = open();
    start();
    receive(`${GRANT}${GRANT}ok\n`);
    receive('error\n');
    expect(errors).toEqual([
      'the daemon has answered "error" to the release of k1: the lease has expired, or the lock was released before',
    ]);
  });

  it('says that a connection was ended for its silence, and takes that for no answer', () => {
    const { errors, receive, start, deadline, pairs } = open();
    start();
    deadline.passed = true;
    receive(`${GRANT}${GRANT}`);
    receive('ok\nok\n');
    expect([pairs(), errors]).toEqual([2, []]);
    receive('error\n');
    expect(errors).toEqual([
      'the daemon has said "error" unasked: it ends connections that are silent for its read timeout',
    ]);
  });
});
