import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fromBytes } from '../../../lib/protocol/bytes.js';
import type { Reply, Request } from '../../../lib/protocol/messages.js';
import { LineDecoder, parsePush, parseReply } from '../../../lib/protocol/reply-decoder.js';
import { encodePush, encodeReply } from '../../../lib/protocol/reply-encoder.js';
import { STATUS_WORDS } from '../../../lib/protocol/status.js';

const TOKEN = 'c962a49166f35fd7a235a283339a7d01';
const REQUESTS: Request['t'][] = [
  ...(['auth', 'ping', 'stats', 'acquire', 'enqueue', 'wait'] as const),
  ...(['renew', 'release', 'listen', 'unlisten', 'signal'] as const),
];

describe('parseReply (spec 3)', () => {
  it.each<[string, Request['t'], Reply]>([
    [`ok ${TOKEN} 33`, 'acquire', { s: 'granted', token: TOKEN, leaseMs: 33_000 }],
    [`ok ${TOKEN} 33`, 'wait', { s: 'granted', token: TOKEN, leaseMs: 33_000 }],
    [`ok ${TOKEN} 9223372036`, 'wait', { s: 'granted', token: TOKEN, leaseMs: 9_223_372_036_000 }],
    [`acquired ${TOKEN} 33`, 'enqueue', { s: 'acquired', token: TOKEN, leaseMs: 33_000 }],
    ['queued', 'enqueue', { s: 'queued' }],
    ['timeout', 'acquire', { s: 'timeout' }],
    ['timeout', 'wait', { s: 'timeout' }],
    ['ok 60', 'renew', { s: 'renewed', leaseMs: 60_000 }],
    ['ok', 'release', { s: 'ok' }],
    ['ok', 'auth', { s: 'ok' }],
    ['ok', 'ping', { s: 'ok' }],
    ['ok', 'listen', { s: 'ok' }],
    ['ok', 'unlisten', { s: 'ok' }],
    ['ok 0', 'signal', { s: 'delivered', count: 0 }],
    ['ok 17', 'signal', { s: 'delivered', count: 17 }],
    ['ok {"connections":1}', 'stats', { s: 'stats', json: '{"connections":1}' }],
    ['error_not_leader host:6388', 'acquire', { s: 'not_leader', leader: 'host:6388' }],
    ['error_not_leader', 'renew', { s: 'not_leader', leader: '' }],
  ])('%s to %s', (line, to, reply) => {
    expect(parseReply(line, to)).toEqual(reply);
  });

  it.each(Object.entries(STATUS_WORDS).filter(([, word]) => word.startsWith('error')))(
    'understands %s in answer to everything',
    (status, word) => {
      for (const to of REQUESTS) expect(parseReply(word, to)).toEqual({ s: status });
    },
  );

  it('takes unknown words that begin with error as failures', () => {
    for (const line of ['error_fence', 'error_brand_new with details', 'error something']) {
      expect(parseReply(line, 'acquire')).toEqual({ s: 'error' });
    }
  });

  it.each<[string, Request['t']]>([
    ['', 'ping'],
    ['OK', 'ping'],
    ['okay', 'ping'],
    [' ok', 'ping'],
    ['sig a b', 'ping'],
    ['ok', 'acquire'],
    ['ok', 'wait'],
    ['ok 33', 'acquire'],
    [`ok ${TOKEN}`, 'acquire'],
    [`ok ${TOKEN} x`, 'acquire'],
    [`ok ${TOKEN} 0`, 'wait'],
    [`ok ${TOKEN} 33 1`, 'wait'],
    ['ok {"connections":1}', 'acquire'],
    [`acquired ${TOKEN}`, 'enqueue'],
    ['ok', 'renew'],
    ['ok soon', 'renew'],
    ['ok 0', 'renew'],
    ['ok ', 'acquire'],
    ['ok', 'stats'],
    ['ok', 'signal'],
    ['ok many', 'signal'],
    ['ok -1', 'signal'],
    [`acquired ${TOKEN} 33`, 'acquire'],
    ['acquired', 'enqueue'],
    ['queued', 'acquire'],
    ['queued', 'ping'],
    ['timeout', 'renew'],
    ['timeout', 'enqueue'],
    ['ok', 'enqueue'],
    [`ok ${TOKEN} 33`, 'enqueue'],
  ])('finds no sense in "%s" to %s', (line, to) => {
    expect(parseReply(line, to)).toBeUndefined();
  });

  it('reads back what encodeReply writes', () => {
    const token = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 });
    const leaseMs = fc.integer({ min: 1, max: 9_223_372_036 }).map((s) => s * 1000);
    const exchange = fc.oneof<fc.Arbitrary<[Request['t'], Reply]>[]>(
      fc.tuple(
        fc.constantFrom('acquire' as const, 'wait' as const),
        fc.record({ s: fc.constant('granted' as const), token, leaseMs }),
      ),
      fc.tuple(fc.constant('enqueue' as const), fc.record({ s: fc.constant('acquired' as const), token, leaseMs })),
      fc.tuple(fc.constant('renew' as const), fc.record({ s: fc.constant('renewed' as const), leaseMs })),
      fc.tuple(fc.constant('signal' as const), fc.record({ s: fc.constant('delivered' as const), count: fc.nat() })),
      fc.tuple(
        fc.constant('stats' as const),
        fc.record({ s: fc.constant('stats' as const), json: fc.constant('{"a":[]}') }),
      ),
      fc.tuple(
        fc.constantFrom(...REQUESTS),
        fc.record({ s: fc.constant('not_leader' as const), leader: fc.constantFrom('', 'h:1') }),
      ),
    );
    fc.assert(
      fc.property(exchange, ([to, reply]) => {
        const line = encodeReply(reply);
        expect(line.endsWith('\n')).toBe(true);
        expect(parseReply(line.slice(0, -1), to)).toEqual(reply);
      }),
    );
  });
});

describe('pushes (spec 6.2)', () => {
  it('end the channel at the first space and keep the rest', () => {
    expect(parsePush('sig events.login {"user": "alice"} ')).toEqual({
      channel: 'events.login',
      payload: '{"user": "alice"} ',
    });
    expect(parsePush('sig a  b')).toEqual({ channel: 'a', payload: ' b' });
  });

  it('are nothing else', () => {
    for (const line of ['ok', 'sig', 'sig ', 'sig a', 'signal a b', 'SIG a b']) expect(parsePush(line)).toBeUndefined();
  });

  it('are read back as written', () => {
    const push = { channel: 'a.b', payload: ' x  y ' };
    expect(parsePush(encodePush(push.channel, push.payload).slice(0, -1))).toEqual(push);
  });
});

describe('LineDecoder', () => {
  const lines = ['ok c962 33', 'sig ключ 🔒 "x"', '', 'timeout', 'ok {"locks":[{"key":"äöü"}]}'];
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));

  function decode(chunks: Buffer[], cap?: number): { lines: string[]; alive: boolean } {
    const got: string[] = [];
    const decoder = new LineDecoder((line) => got.push(fromBytes(line)), cap);
    const alive = chunks.every((chunk) => decoder.push(chunk.toString('latin1')));
    return { lines: got, alive };
  }

  it('gives the same lines however the bytes are split, inside characters too', () => {
    expect(decode([bytes]).lines).toEqual(lines);
    expect(decode([...bytes].map((byte) => Buffer.from([byte]))).lines).toEqual(lines);
    for (let at = 0; at <= bytes.length; at++) {
      expect(decode([bytes.subarray(0, at), bytes.subarray(at)]).lines).toEqual(lines);
    }
  });

  it('removes a CR before the LF', () => {
    expect(decode([Buffer.from('ok\r\ntimeout\r'), Buffer.from('\nok\n')]).lines).toEqual(['ok', 'timeout', 'ok']);
  });

  it('keeps an unfinished line to itself', () => {
    expect(decode([Buffer.from('ok\ntime')])).toEqual({ lines: ['ok'], alive: true });
  });

  it('takes lines of a mebibyte and more', () => {
    const long = 'x'.repeat(3 * 1024 * 1024);
    const { lines: got } = decode([Buffer.from(long), Buffer.from(`${long}\nok\n`)]);
    expect(got.map((line) => line.length)).toEqual([2 * long.length, 2]);
  });

  it('gives up on a line over its cap, finished or not', () => {
    expect(decode([Buffer.from('12345678\n')], 8)).toEqual({ lines: ['12345678'], alive: true });
    expect(decode([Buffer.from('ok\n123456789\nok\n')], 8)).toEqual({ lines: ['ok'], alive: false });
    expect(decode([Buffer.from('12345'), Buffer.from('6789')], 8)).toEqual({ lines: [], alive: false });
  });
});
