import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { LockNotice } from '../../../lib/locks/events.js';
import { eventLogger, logTo } from '../../../lib/nest/event.logger.js';

afterEach(() => void jest.restoreAllMocks());

describe('the log', () => {
  it('has each transition of a connection once, a loss as error, and a skip at debug', () => {
    const lines: string[] = [];
    const log = eventLogger((level, message) => lines.push(`${level} ${message}`));
    const server = 'a:1';
    const about = { keys: ['k'], at: 0 };
    const events: LockNotice[] = [
      { type: 'connected', server, at: 0 },
      { type: 'disconnected', server, at: 0, error: new Error('reset') },
      { type: 'disconnected', server, at: 0, error: new Error('refused') },
      { type: 'disconnected', server: 'b:1', at: 0 },
      { type: 'connected', server, at: 0 },
      { type: 'disconnected', server, at: 0 },
      { type: 'degraded', server, at: 0, detail: 'polling' },
      { type: 'lost', ...about, grants: [], reason: 'expired', heldMs: 12.3, server },
      { type: 'skipped', ...about },
    ];
    events.forEach((event) => log.next(event));
    log.complete();
    expect(lines).toEqual([
      'log connected to a:1',
      'warn connection to a:1 lost: reset; reconnecting',
      'warn connection to b:1 lost; reconnecting',
      'log connected to a:1',
      'warn connection to a:1 lost; reconnecting',
      'warn a:1: polling',
      'debug skipped, lock is busy: k',
      'error lock lost: k (expired) after 12 ms, server a:1',
    ]);
  });

  it("goes to Nest's logger, to the one that is given, or nowhere", () => {
    const nest = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const own = { log: jest.fn(), warn: jest.fn(), error: jest.fn() };
    logTo(false)('warn', 'a');
    logTo(own)('warn', 'b');
    logTo(own)('debug', 'no such method');
    expect(nest).not.toHaveBeenCalled();
    logTo(undefined)('warn', 'c');
    expect(own.warn.mock.calls).toEqual([['b', 'Dflockd']]);
    expect(nest.mock.calls).toEqual([['c']]);
  });

  it('costs nobody a lock when the logger throws', () => {
    const broken = { log: jest.fn(), error: jest.fn(), warn: () => fail() };
    const fail = (): never => {
      throw new Error('disk full');
    };
    expect(() => logTo(broken)('warn', 'a')).not.toThrow();
  });
});
