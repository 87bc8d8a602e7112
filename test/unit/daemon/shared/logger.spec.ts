import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { type DaemonLogger, harmless, SparseLog } from '../../../../lib/daemon/shared/logger.js';
import { FakeClock } from '../../../support/fake-clock.js';

describe('what peers can have logged as often as they like', () => {
  function setUp(): { clock: FakeClock; lines: string[]; sparse: SparseLog } {
    const clock = new FakeClock();
    const lines: string[] = [];
    const log: DaemonLogger = (level, message, attributes) =>
      lines.push(`${level} ${message} ${JSON.stringify(attributes)}`);
    return { clock, lines, sparse: new SparseLog(log, clock) };
  }

  it('is told at once, then once a second, with a count and the newest attributes', () => {
    const { clock, lines, sparse } = setUp();
    for (let i = 0; i < 1000; i++) sparse.tell('warn', 'refused', { peer: i });
    expect(lines).toEqual(['warn refused {"peer":0,"count":1}']);
    clock.advance(999);
    sparse.tell('warn', 'refused', { peer: 'x' });
    expect(lines.length).toBe(1);
    clock.advance(1);
    expect(lines.slice(1)).toEqual(['warn refused {"peer":"x","count":1000}']);
    sparse.tell('warn', 'refused', { peer: 'y' });
    expect(lines.length).toBe(2);
    clock.advance(1000);
    expect(lines.slice(2)).toEqual(['warn refused {"peer":"y","count":1}']);
  });

  it('keeps messages apart, and says nothing when nothing has happened', () => {
    const { clock, lines, sparse } = setUp();
    sparse.tell('warn', 'a', {});
    sparse.tell('debug', 'b', {});
    clock.advance(60_000);
    expect(lines).toEqual(['warn a {"count":1}', 'debug b {"count":1}']);
    sparse.tell('warn', 'a', {});
    expect(lines.length).toBe(3);
  });

  it('tells what it has counted at the end, and no more', () => {
    const { clock, lines, sparse } = setUp();
    for (let i = 0; i < 3; i++) sparse.tell('warn', 'a', {});
    sparse.flush();
    expect(lines).toEqual(['warn a {"count":1}', 'warn a {"count":2}']);
    clock.advance(60_000);
    expect(lines.length).toBe(2);
  });
});

describe('a logger that fails', () => {
  it('hurts nobody: it throws, or its promise is rejected', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      harmless(() => {
        throw new Error('full');
      })('info', 'x');
      const rejects: unknown = () => Promise.reject(new Error('full'));
      harmless(rejects as DaemonLogger)('info', 'x');
      // A promise of another library, or of another realm.
      const foreign: unknown = () => ({
        then: (_done: unknown, fail: (error: Error) => void) => fail(new Error('full')),
      });
      harmless(foreign as DaemonLogger)('info', 'x');
      const realm: unknown = runInNewContext('() => Promise.reject(new Error("full"))');
      harmless(realm as DaemonLogger)('info', 'x');
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    } finally {
      process.removeListener('unhandledRejection', note);
    }
    expect(unhandled).toEqual([]);
  });
});
