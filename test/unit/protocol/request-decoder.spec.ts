import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Request } from '../../../lib/protocol/messages.js';
import { RequestDecoder, type NotARequest } from '../../../lib/protocol/request-decoder.js';
import { corpus, stepsOf, type Step } from '../../conformance/corpus.js';
import { written } from '../../conformance/template.js';

type Taken = Exclude<Request | NotARequest, 'more'>;

/** Everything that comes out of the decoder when it is asked after each chunk. */
function decode(chunks: string[]): Taken[] {
  const decoder = new RequestDecoder();
  const taken: Taken[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let frame = decoder.next(); frame !== 'more'; frame = decoder.next()) {
      taken.push(frame);
      if (frame === 'too_long') return taken;
    }
  }
  return taken;
}

const bytewise = (text: string): string[] => [...text];

describe('RequestDecoder', () => {
  it('gives a request for each three lines', () => {
    expect(decode(['l\nk\n0\nping\n_\n\nnonsense\n\n\nw\nk\n'])).toEqual([
      { t: 'acquire', kind: 'lock', key: 'k', limit: 1, waitMs: 0, leaseMs: 0 },
      { t: 'ping' },
      'malformed',
    ]);
  });

  it('removes any number of CRs from the end of each line, and none inside', () => {
    expect(decode(['ping\r\n_\r\r\r\n\r\n'])).toEqual([{ t: 'ping' }]);
    expect(decode(['l\r\r\nk\r\n0\r\r\n'])).toMatchObject([{ t: 'acquire', key: 'k' }]);
    expect(decode(['l\nk\rk\n0\n', '\rl\nk\n0\n'])).toEqual(['malformed', 'malformed']);
  });

  it('keeps keys as bytes', () => {
    const key = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i))
      .join('')
      .replace(/[ \t\r\n]/g, '');
    expect(decode([`e\n${key}\n\n`])).toEqual([{ t: 'enqueue', kind: 'lock', key, limit: 1, leaseMs: 0 }]);
    expect(decode(bytewise(`e\n${key}\n\n`))).toEqual([{ t: 'enqueue', kind: 'lock', key, limit: 1, leaseMs: 0 }]);
  });

  it('is taken one request at a time and knows what is behind it', () => {
    const decoder = new RequestDecoder();
    decoder.push('ping\n_\n\nl\nk\n10\nrest');
    expect(decoder.next()).toEqual({ t: 'ping' });
    expect(decoder.unread).toBe('l\nk\n10\nrest'.length);
    expect(decoder.next()).toMatchObject({ t: 'acquire' });
    expect(decoder.unread).toBe('rest'.length);
    decoder.push(' of it');
    expect(decoder.unread).toBe('rest of it'.length);
  });

  it('counts completed lines', () => {
    const decoder = new RequestDecoder();
    const completed = [];
    for (const chunk of ['pi', 'ng\n_', '\n', 'x', 'y\nl\n']) {
      decoder.push(chunk);
      while (decoder.next() !== 'more');
      completed.push(decoder.completed);
    }
    expect(completed).toEqual([0, 1, 2, 2, 4]);
  });
});

describe('line caps (spec 1.2)', () => {
  const x = (n: number): string => 'x'.repeat(n);
  const key = (text: string): string => `l\n${text}\n0\n`;

  it.each([
    ['256 bytes', x(256)],
    ['255 bytes and CR', `${x(255)}\r`],
    ['128 characters of two bytes', '\xc3\xa9'.repeat(128)],
  ])('%s pass as key', (_, text) => {
    const wanted = [{ t: 'acquire', key: text.replace('\r', '') }];
    expect(decode([key(text)])).toMatchObject(wanted);
    expect(decode(bytewise(key(text)))).toMatchObject(wanted);
  });

  it.each([
    ['a key of 257 bytes', key(x(257))],
    ['a key of 256 bytes and CR', key(`${x(256)}\r`)],
    ['a command of 257 bytes', `${x(257)}\nk\n\n`],
    ['an argument of 257 bytes', `l\nk\n${x(257)}\n`],
    ['the key of auth', `auth\n${x(257)}\nt\n`],
    ['the argument of Auth', `Auth\n_\n${x(257)}\n`],
    ['the key of signal', `signal\n${x(257)}\np\n`],
    ['an argument of auth of 65,537 bytes', `auth\n_\n${x(65_537)}\n`],
    ['an argument of signal of 65,536 bytes and CR', `signal\nc\n${x(65_536)}\r\n`],
  ])('%s is too long, and nothing behind it counts', (_, text) => {
    expect(decode([`ping\n_\n\n${text}ping\n_\n\n`])).toEqual([{ t: 'ping' }, 'too_long']);
    expect(decode(bytewise(`ping\n_\n\n${text}ping\n_\n\n`))).toEqual([{ t: 'ping' }, 'too_long']);
  });

  it.each([
    ['auth', `auth\n_\n${x(65_536)}\n`, { t: 'auth', token: x(65_536) }],
    ['auth with CR', `auth\r\n_\n${x(65_535)}\r\n`, { t: 'auth', token: x(65_535) }],
    ['signal', `signal\nc\n${x(65_530)}\n`, { t: 'signal', channel: 'c', payload: x(65_530) }],
  ])('a long third line passes for %s', (_, text, request) => {
    expect(decode([text])).toEqual([request]);
    expect(decode(bytewise(text))).toEqual([request]);
  });

  it('returns to the short cap behind a long line', () => {
    expect(decode([`auth\n_\n${x(300)}\n${x(257)}\n`])).toEqual([{ t: 'auth', token: x(300) }, 'too_long']);
  });

  it('tells of an over-long line before it ends, and says so only at its end', () => {
    const decoder = new RequestDecoder();
    decoder.push(x(256));
    expect([decoder.next(), decoder.overlong]).toEqual(['more', false]);
    decoder.push('x');
    expect([decoder.next(), decoder.overlong]).toEqual(['more', true]);
    decoder.push(x(100_000));
    expect([decoder.next(), decoder.unread]).toEqual(['more', 0]);
    decoder.push('x\nping\n_\n\n');
    expect([decoder.next(), decoder.unread]).toEqual(['too_long', 0]);
    decoder.push('ping\n_\n\n');
    expect(decoder.next()).toBe('too_long');
  });
});

describe('the recorded transcripts', () => {
  const isSent = (step: Step): [string, string] | undefined =>
    'send' in step ? step.send : 'trickle' in step ? [step.trickle[0], step.trickle[1]] : undefined;

  const transcripts = corpus().flatMap(({ scenarios }) =>
    scenarios.flatMap((scenario) => {
      const streams = new Map<string, string>();
      for (const step of stepsOf(scenario, '1.16')) {
        const [connection, bytes] = isSent(step) ?? [];
        if (connection === undefined) continue;
        const text = written(bytes!).replace(/\{(?:tok|up):[^{}]+\}/g, '0123456789abcdef0123456789abcdef');
        streams.set(connection, (streams.get(connection) ?? '') + text);
      }
      return [...streams.values()];
    }),
  );

  it('are many', () => {
    expect(transcripts.length).toBeGreaterThan(600);
  });

  it('mean the same one byte at a time', () => {
    for (const text of transcripts) expect(decode(bytewise(text))).toEqual(decode([text]));
  });

  it('mean the same split at every position', () => {
    for (const [nth, text] of [...new Set(transcripts)].entries()) {
      const whole = printed(decode([text]));
      // The long ones repeat the same request over and over, and many are alike: of each some positions, of all of them all.
      const stride = Math.ceil(text.length / 100);
      for (let at = 1 + (nth % stride); at < text.length; at += stride) {
        const split = printed(decode([text.slice(0, at), text.slice(at)]));
        if (split !== whole) throw new Error(`split at ${at}: ${JSON.stringify(text)}`);
      }
    }
  });

  it('mean the same in chunks of any size', () => {
    const all = [...new Set(transcripts)].filter((text) => text.length < 5000);
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (text, sizes) => {
          const chunks: string[] = [];
          for (let at = 0, i = 0; at < text.length; i++) {
            const size = sizes[i % sizes.length]!;
            chunks.push(text.slice(at, at + size));
            at += size;
          }
          expect(decode(chunks)).toEqual(decode([text]));
        },
      ),
      { numRuns: 500 },
    );
  });
});

/** Made many thousand times. */
const printed = (requests: readonly (object | string)[]): string =>
  requests.map((one) => (typeof one === 'string' ? one : Object.entries(one).join('\0'))).join('\n');

describe('the short way for usual requests', () => {
  const word = fc.constantFrom(
    'l',
    'r',
    'n',
    'e',
    'w',
    'sl',
    'sn',
    'ping',
    'auth',
    'signal',
    'x',
    '',
    'l ',
    ' l',
    'l\r',
  );
  const key = fc.oneof(
    fc.constantFrom('k', '', 'a b', 'k\r', '\rk', '\t', 'é'.repeat(3), '\xc2\xa0', '\xe3\x80\x80', 'k'.repeat(256)),
    fc.string({ unit: 'binary-ascii', maxLength: 6 }),
  );
  const argument = fc.oneof(
    fc.constantFrom(
      '0',
      '10 60',
      '-0',
      '+5',
      '007',
      ' 1',
      '1 ',
      '1  2',
      '1 2 3',
      '',
      'tok 30',
      'tok\xa030',
      'tok\xc2\xa030',
    ),
    fc.constantFrom(
      '9223372036',
      '9223372037',
      '1'.repeat(10),
      '0 0',
      '0 -1',
      '0 1\r',
      '0'.repeat(256),
      '0'.repeat(257),
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 8 }),
  );
  const frame = fc.tuple(word, key, argument).map((lines) => `${lines.join('\n')}\n`);

  it('means what the long way means, which bytes one at a time take', () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 4 }), (frames) => {
        const text = frames.join('');
        expect(decode([text])).toEqual(decode(bytewise(text)));
      }),
      { numRuns: 3000 },
    );
  });
});
