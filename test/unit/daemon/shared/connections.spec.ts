import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { Connections } from '../../../../lib/daemon/shared/connections.js';

const stream = (): Duplex => new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });

describe('the open connections of a listener', () => {
  it('are members until their streams have closed, which is told before the last is waited for no longer', async () => {
    const connections = new Connections();
    const [one, two] = [stream(), stream()];
    const told: string[] = [];
    connections.add(one, () => told.push(`one, ${connections.size} left`));
    connections.add(two, () => told.push(`two, ${connections.size} left`));
    // Each of those who wait.
    const waiting = ['first', 'second'].map(async (name) => {
      await connections.whenEmpty();
      told.push(name);
    });
    one.destroy();
    await once(one, 'close');
    expect(told).toEqual(['one, 1 left']);
    two.destroy();
    await Promise.all(waiting);
    expect(told).toEqual(['one, 1 left', 'two, 0 left', 'first', 'second']);
  });

  it('are none at first, and after all have been destroyed', async () => {
    const connections = new Connections();
    await connections.whenEmpty();
    const streams = [stream(), stream()];
    for (const each of streams) connections.add(each, () => undefined);
    connections.destroyAll();
    await connections.whenEmpty();
    expect([connections.size, streams.map(({ destroyed }) => destroyed)]).toEqual([0, [true, true]]);
  });
});
