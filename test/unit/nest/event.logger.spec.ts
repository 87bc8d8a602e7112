import { stripVTControlCharacters } from 'node:util';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { ConsoleLogger, Logger, type LoggerService } from '@nestjs/common';
import type { LockNotice } from '../../../lib/locks/events/events.js';
import { eventLogger } from '../../../lib/nest/event.logger.js';
import { logTo } from '../../../lib/nest/module.logger.js';

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

  it('gives a logger without a context what Nest gives it: an error has its trace before the context', () => {
    const own = { log: jest.fn(), warn: jest.fn(), error: jest.fn(), debug: jest.fn() };
    for (const level of ['log', 'warn', 'debug', 'error'] as const) logTo(own)(level, level);
    expect(own.log.mock.calls).toEqual([['log', 'Dflockd']]);
    expect(own.warn.mock.calls).toEqual([['warn', 'Dflockd']]);
    expect(own.debug.mock.calls).toEqual([['debug', 'Dflockd']]);
    // nest-winston and others take the second argument of error() for the stack.
    expect(own.error.mock.calls).toEqual([['error', undefined, 'Dflockd']]);
  });

  describe('a logger with a context of its own gets no other, and prints one line', () => {
    const printed = (logger: LoggerService): string[] => {
      const lines: string[] = [];
      const keep = (text: unknown) => {
        lines.push(...String(text).trim().split('\n'));
        return true;
      };
      jest.spyOn(process.stdout, 'write').mockImplementation(keep);
      jest.spyOn(process.stderr, 'write').mockImplementation(keep);
      for (const level of ['log', 'warn', 'error', 'debug'] as const) logTo(logger)(level, `a ${level}`);
      jest.restoreAllMocks();
      return lines;
    };

    it.each<[string, () => LoggerService, string]>([
      ['Logger', () => new Logger('Locks'), 'Locks'],
      ['ConsoleLogger', () => new ConsoleLogger('Locks', { colors: false }), 'Locks'],
      ['Logger without a context', () => new Logger(), 'Dflockd'],
      ['ConsoleLogger without a context', () => new ConsoleLogger({ colors: false }), 'Dflockd'],
    ])('%s', (_, make, context) => {
      const plain = printed(make()).map(stripVTControlCharacters);
      const expected = ['log', 'warn', 'error', 'debug'].map((level) =>
        expect.stringContaining(`[${context}] a ${level}`),
      );
      expect(plain).toEqual(expected);
    });

    it('also if it is named later', () => {
      const later = { context: undefined as string | undefined, log: jest.fn(), warn: jest.fn(), error: jest.fn() };
      const log = logTo(later);
      log('error', 'a');
      later.context = 'Locks';
      log('error', 'b');
      expect(later.error.mock.calls).toEqual([['a', undefined, 'Dflockd'], ['b']]);
    });
  });

  it('costs nobody a lock when the logger throws, or returns a promise that may reject', () => {
    const broken = { log: jest.fn(), error: jest.fn(), warn: () => fail() };
    const fail = (): never => {
      throw new Error('disk full');
    };
    expect(() => logTo(broken)('warn', 'a')).not.toThrow();
    const then = jest.fn();
    logTo({ log: jest.fn(), error: jest.fn(), warn: () => ({ then }) })('warn', 'a');
    expect(then).toHaveBeenCalledWith(expect.any(Function), expect.any(Function));
  });
});
