import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { splitFields, trimBytes, toBytes } from '../../../lib/protocol/bytes.js';
import type { Kind, Request } from '../../../lib/protocol/messages.js';
import { encodeRequest } from '../../../lib/protocol/request-encoder.js';
import { isKey, parseRequest } from '../../../lib/protocol/request-parser.js';

const TOKEN = 'c962a49166f35fd7a235a283339a7d01';
const [lock, sem] = ['lock', 'sem'] as const;

describe('parseRequest (spec 3)', () => {
  it.each<[string, string, Request]>([
    ['l', '10', { t: 'acquire', kind: lock, key: 'k', limit: 1, waitMs: 10_000, leaseMs: 0 }],
    ['l', '0 60', { t: 'acquire', kind: lock, key: 'k', limit: 1, waitMs: 0, leaseMs: 60_000 }],
    ['sl', '10 3', { t: 'acquire', kind: sem, key: 'k', limit: 3, waitMs: 10_000, leaseMs: 0 }],
    ['sl', '10 3 60', { t: 'acquire', kind: sem, key: 'k', limit: 3, waitMs: 10_000, leaseMs: 60_000 }],
    ['sl', '0 1 1', { t: 'acquire', kind: sem, key: 'k', limit: 1, waitMs: 0, leaseMs: 1000 }],
    ['r', TOKEN, { t: 'release', kind: lock, key: 'k', token: TOKEN }],
    ['sr', ` ${TOKEN}\t`, { t: 'release', kind: sem, key: 'k', token: TOKEN }],
    ['r', `${TOKEN} 60`, { t: 'release', kind: lock, key: 'k', token: `${TOKEN} 60` }],
    ['n', TOKEN, { t: 'renew', kind: lock, key: 'k', token: TOKEN, leaseMs: 0 }],
    ['sn', `${TOKEN} 60`, { t: 'renew', kind: sem, key: 'k', token: TOKEN, leaseMs: 60_000 }],
    ['e', '', { t: 'enqueue', kind: lock, key: 'k', limit: 1, leaseMs: 0 }],
    ['e', ' \t ', { t: 'enqueue', kind: lock, key: 'k', limit: 1, leaseMs: 0 }],
    ['e', '30', { t: 'enqueue', kind: lock, key: 'k', limit: 1, leaseMs: 30_000 }],
    ['se', '2', { t: 'enqueue', kind: sem, key: 'k', limit: 2, leaseMs: 0 }],
    ['se', '2 30', { t: 'enqueue', kind: sem, key: 'k', limit: 2, leaseMs: 30_000 }],
    ['w', '5', { t: 'wait', kind: lock, key: 'k', waitMs: 5000 }],
    ['sw', '0', { t: 'wait', kind: sem, key: 'k', waitMs: 0 }],
    ['ping', 'whatever', { t: 'ping' }],
    ['stats', 'whatever', { t: 'stats' }],
    ['auth', ' s3 cret ', { t: 'auth', token: 's3 cret' }],
    ['auth', '', { t: 'auth', token: '' }],
    ['listen', ' workers ', { t: 'listen', pattern: 'k', group: 'workers' }],
    ['unlisten', '', { t: 'unlisten', pattern: 'k', group: '' }],
    ['signal', ' a  b ', { t: 'signal', channel: 'k', payload: ' a  b ' }],
  ])('%s with "%s"', (command, argument, request) => {
    expect(parseRequest(command, 'k', argument)).toEqual(request);
  });

  it.each([
    ['L', '0'],
    ['l ', '0'],
    [' l', '0'],
    ['', ''],
    ['barrier', ''],
    ['stable-ref', ''],
    ['PING', ''],
    ['l', ''],
    ['l', '-1'],
    ['l', '0 0'],
    ['l', '0 -1'],
    ['l', '0 60 1'],
    ['sl', '10'],
    ['sl', '10 0'],
    ['sl', '10 -1'],
    ['sl', '10 1 0'],
    ['sl', '10 1 60 1'],
    ['r', ''],
    ['r', '  '],
    ['sr', ''],
    ['n', ''],
    ['n', `${TOKEN} 0`],
    ['n', `${TOKEN} 60 1`],
    ['e', '0'],
    ['e', '30 junk'],
    ['se', ''],
    ['se', '0'],
    ['se', '2 0'],
    ['se', '2 30 1'],
    ['w', ''],
    ['w', '-1'],
    ['w', '5 5'],
    ['signal', ''],
    ['signal', ' \t'],
  ])('has no meaning: %s with "%s"', (command, argument) => {
    expect(parseRequest(command, 'k', argument)).toBeUndefined();
  });

  it.each(['l', 'sl', 'r', 'sr', 'n', 'sn', 'e', 'se', 'w', 'sw', 'listen', 'unlisten', 'signal'])(
    '%s wants a key',
    (command) => {
      const argument = command === 'sl' ? '0 1' : '1';
      expect(parseRequest(command, 'k', argument)).toBeDefined();
      for (const key of ['', ' ', 'a b', 'a\tb', 'a\rb', '\ra', 'a\nb']) {
        expect(parseRequest(command, key, argument)).toBeUndefined();
      }
    },
  );

  it('asks neither ping nor stats nor auth for a key', () => {
    for (const command of ['ping', 'stats', 'auth']) {
      expect(parseRequest(command, '', 'x')?.t).toBe(command);
      expect(parseRequest(command, 'a b', 'x')?.t).toBe(command);
    }
  });

  it('wants a pattern to listen and a channel to signal', () => {
    expect(parseRequest('listen', 'a.>', '')).toEqual({ t: 'listen', pattern: 'a.>', group: '' });
    expect(parseRequest('listen', 'a.>.b', '')).toBeUndefined();
    expect(parseRequest('unlisten', 'a*', '')).toBeUndefined();
    expect(parseRequest('signal', 'a.*', 'x')).toBeUndefined();
  });
});

describe('keys (spec 1.3)', () => {
  it('are any bytes but SP, HT, LF and CR', () => {
    const illegal = Array.from({ length: 256 }, (_, i) => i).filter((code) => !isKey(`a${String.fromCharCode(code)}`));
    expect(illegal).toEqual([0x09, 0x0a, 0x0d, 0x20]);
    expect(isKey('')).toBe(false);
  });

  it('may hold characters that separate fields', () => {
    for (const key of ['\v', '\f', toBytes('\u00a0'), toBytes('\u2003'), '\x85', '\0']) expect(isKey(key)).toBe(true);
  });
});

describe('integers (spec 1.3)', () => {
  const seconds = (text: string): number | undefined => {
    const request = parseRequest('w', 'k', text);
    return request?.t === 'wait' ? request.waitMs / 1000 : undefined;
  };
  const limit = (text: string): number | bigint | undefined => {
    const request = parseRequest('se', 'k', text);
    return request?.t === 'enqueue' ? request.limit : undefined;
  };

  it.each([
    ['0', 0],
    ['-0', 0],
    ['+0', 0],
    ['+7', 7],
    ['007', 7],
    ['0'.repeat(250) + '7', 7],
    ['9223372036', 9_223_372_036],
  ])('%s seconds are %d', (text, value) => {
    expect(seconds(text)).toBe(value);
  });

  it.each([
    ...['0x0', '1.0', '1e0', '1_0', '', '+', '-', '--1', '+-1', '1+', 'NaN', 'Infinity', '٣', '\uff11'],
    ...['9223372037', '9223372036854775807', '9223372036854775808', '9'.repeat(250), '-1'],
  ])('%s are no seconds', (text) => {
    expect(seconds(toBytes(text))).toBeUndefined();
  });

  it.each<[string, number | bigint]>([
    ['1', 1],
    ['+1', 1],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['9007199254740993', 9_007_199_254_740_993n],
    ['+9223372036854775807', 9_223_372_036_854_775_807n],
    ['000000000000000000009223372036854775807', 9_223_372_036_854_775_807n],
  ])('%s is the limit %s', (text, value) => {
    expect(limit(text)).toBe(value);
  });

  it.each(['0', '-1', '-0', '9223372036854775808', '-9223372036854775808', '9'.repeat(250), '1n', '1.5'])(
    '%s is no limit',
    (text) => {
      expect(limit(text)).toBeUndefined();
    },
  );

  it('stand between white space of every kind', () => {
    const request = { t: 'acquire', kind: sem, key: 'k', limit: 3, waitMs: 10_000, leaseMs: 60_000 };
    for (const space of ['  ', '\t', '\v', '\f', '\r', '\u0085', '\u00a0', '\u2003', '\u3000']) {
      const s = toBytes(space);
      expect(parseRequest('sl', 'k', `${s}10${s}${s}3${s}60${s}`)).toEqual(request);
    }
    expect(parseRequest('sl', 'k', toBytes('10\ufeff3'))).toBeUndefined();
  });
});

describe('signals (spec 6.2)', () => {
  it('carry what fits into a pushed line of 64 KiB', () => {
    const most = 65_536 - 5 - 3;
    expect(parseRequest('signal', 'a.b', 'x'.repeat(most))).toBeDefined();
    expect(parseRequest('signal', 'a.b', 'x'.repeat(most + 1))).toBeUndefined();
  });
});

describe('encodeRequest', () => {
  const kind = fc.constantFrom<Kind>('lock', 'sem');
  const key = fc.uint8Array({ minLength: 1, maxLength: 64, size: 'max' }).map((bytes) =>
    Buffer.from(bytes)
      .toString('latin1')
      .replace(/[ \t\r\n]/g, '_'),
  );
  const ms = fc.integer({ min: 1, max: 9_223_372_036 }).map((s) => s * 1000);
  const msOrNone = fc.oneof(fc.constant(0), ms);
  const limit = fc.oneof(fc.integer({ min: 1, max: 1_000_000 }), fc.constant(9_223_372_036_854_775_807n));
  const token = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 });
  const words = fc.string({ unit: fc.constantFrom('a', 'é', '🔒', '.', '"') }).map(toBytes);
  const name = words.filter((w) => w !== '');
  const withLimit = <T extends { kind: Kind; limit: number | bigint }>(r: T): T =>
    r.kind === 'lock' ? { ...r, limit: 1 } : r;

  const requests = fc.oneof<fc.Arbitrary<Request>[]>(
    fc
      .record({ t: fc.constant('acquire' as const), kind, key, limit, waitMs: msOrNone, leaseMs: msOrNone })
      .map(withLimit),
    fc.record({ t: fc.constant('enqueue' as const), kind, key, limit, leaseMs: msOrNone }).map(withLimit),
    fc.record({ t: fc.constant('wait' as const), kind, key, waitMs: msOrNone }),
    fc.record({ t: fc.constant('renew' as const), kind, key, token, leaseMs: msOrNone }),
    fc.record({ t: fc.constant('release' as const), kind, key, token }),
    fc.record({ t: fc.constant('auth' as const), token: words }),
    fc.record({ t: fc.constant('ping' as const) }),
    fc.record({ t: fc.constant('stats' as const) }),
    fc.record({ t: fc.constantFrom('listen' as const, 'unlisten' as const), pattern: name, group: words }),
    fc.record({ t: fc.constant('signal' as const), channel: name, payload: name }),
  );

  it('writes three lines that parseRequest understands', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const [command, keyLine, argument, ...rest] = encodeRequest(request).split('\n');
        expect(rest).toEqual(['']);
        expect(parseRequest(command!, keyLine!, argument!)).toEqual(request);
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[Request, string]>([
    [{ t: 'acquire', kind: lock, key: 'k', limit: 1, waitMs: 0, leaseMs: 0 }, 'l\nk\n0\n'],
    [{ t: 'acquire', kind: sem, key: 'k', limit: 3, waitMs: 10_000, leaseMs: 60_000 }, 'sl\nk\n10 3 60\n'],
    [{ t: 'enqueue', kind: lock, key: 'k', limit: 1, leaseMs: 0 }, 'e\nk\n\n'],
    [{ t: 'enqueue', kind: lock, key: 'k', limit: 1, leaseMs: 60_000 }, 'e\nk\n60\n'],
    [{ t: 'enqueue', kind: sem, key: 'k', limit: 3, leaseMs: 60_000 }, 'se\nk\n3 60\n'],
    [{ t: 'ping' }, 'ping\n_\n\n'],
    [{ t: 'stats' }, 'stats\n_\n\n'],
  ])('%j is %j', (request, text) => {
    expect(encodeRequest(request)).toBe(text);
  });

  it('rounds durations up to whole seconds', () => {
    const text = encodeRequest({ t: 'acquire', kind: lock, key: 'k', limit: 1, waitMs: 1, leaseMs: 1001 });
    expect(text).toBe('l\nk\n1 2\n');
  });
});

describe('arguments', () => {
  it('of any bytes are understood or refused, never thrown at', () => {
    const commands = ['l', 'sl', 'r', 'n', 'e', 'se', 'w', 'auth', 'listen', 'signal', 'ping', 'x'];
    const bytes = fc.uint8Array({ maxLength: 40, size: 'max' }).map((b) => Buffer.from(b).toString('latin1'));
    fc.assert(
      fc.property(fc.constantFrom(...commands), bytes, bytes, (command, key, argument) => {
        parseRequest(command, key, argument);
        expect(trimBytes(argument).length).toBeLessThanOrEqual(argument.length);
        expect(splitFields(argument).every((field) => field !== '')).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
