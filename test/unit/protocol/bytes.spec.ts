import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fromBytes, ownBytes, splitFields, toBytes, trimBytes } from '../../../lib/protocol/bytes.js';
import { stopwatch } from '../../support/stopwatch.js';

/** The code points with the Unicode property White_Space (spec 1.3). */
const WHITE_SPACE: number[] = [
  ...[0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x85, 0xa0, 0x1680],
  ...[0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a],
  ...[0x2028, 0x2029, 0x202f, 0x205f, 0x3000],
];
const isSpace = (char: string): boolean => WHITE_SPACE.includes(char.codePointAt(0)!);

const utf8 = (...codePoints: number[]): string => toBytes(String.fromCodePoint(...codePoints));

describe('white space', () => {
  it.each<[string, number]>(WHITE_SPACE.map((code) => [`U+${code.toString(16).padStart(4, '0')}`, code]))(
    '%s counts',
    (_, code) => {
      const space = utf8(code);
      expect(trimBytes(`${space}a${space}b${space}${space}`)).toBe(`a${space}b`);
      expect(splitFields(`${space}a${space}${space}b${space}`)).toEqual(['a', 'b']);
    },
  );

  it('is nothing else in the first two planes', () => {
    const wrong: string[] = [];
    for (let code = 0; code < 0x20000; code++) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const found = trimBytes(utf8(code)) === '';
      if (found !== WHITE_SPACE.includes(code)) wrong.push(code.toString(16));
    }
    expect(wrong).toEqual([]);
  });

  it.each([
    ['U+FEFF', '\u00ef\u00bb\u00bf'],
    ['U+180E', '\u00e1\u00a0\u008e'],
    ['U+200B', '\u00e2\u0080\u008b'],
    ['NUL', '\0'],
    ['byte 85 alone', '\x85'],
    ['byte A0 alone', '\xa0'],
    ['an overlong space', '\xc0\xa0'],
    ['a truncated U+2000', '\xe2\x80'],
    ['a truncated U+3000', '\xe3\x80'],
    ['an overlong U+0085', '\xe0\x82\x85'],
  ])('%s does not count', (_, bytes) => {
    expect(trimBytes(`${bytes}a${bytes}`)).toBe(`${bytes}a${bytes}`);
    expect(splitFields(`a${bytes}b`)).toEqual([`a${bytes}b`]);
  });

  it('is seen behind bytes that are no UTF-8', () => {
    expect(splitFields('\xe2\xc2\xa0\xff')).toEqual(['\xe2', '\xff']);
    expect(trimBytes('\xe2\x80\xc2\x85')).toBe('\xe2\x80');
    expect(splitFields('\xf0\xe3\x80\x80\x80')).toEqual(['\xf0', '\x80']);
  });
});

describe('trimBytes and splitFields', () => {
  const texts = fc.string({
    unit: fc.constantFrom('a', '1', ' ', '\t', '\u0085', '\u00a0', '\u2003', '\u3000', '\ufeff', 'é', '🔒'),
  });

  it('agree with the same on characters', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const chars = [...text];
        const first = chars.findIndex((c) => !isSpace(c));
        const last = chars.findLastIndex((c) => !isSpace(c));
        expect(fromBytes(trimBytes(toBytes(text)))).toBe(first < 0 ? '' : chars.slice(first, last + 1).join(''));
        const fields = chars
          .map((c) => (isSpace(c) ? '\n' : c))
          .join('')
          .split('\n')
          .filter((field) => field !== '');
        expect(splitFields(toBytes(text)).map(fromBytes)).toEqual(fields);
      }),
    );
  });

  it('find nothing in a blank line', () => {
    for (const blank of ['', ' ', '\t \v\f', utf8(0x2003, 0x85)]) {
      expect(trimBytes(blank)).toBe('');
      expect(splitFields(blank)).toEqual([]);
    }
  });

  it('take 64 KiB of white space in no time', () => {
    const hostile = [
      ' '.repeat(65_536),
      utf8(0x3000).repeat(21_845),
      `a${'\xe3\x80'.repeat(32_767)}`,
      `${' '.repeat(65_535)}a`,
    ];
    const took = stopwatch();
    for (const bytes of hostile) {
      trimBytes(bytes);
      splitFields(bytes);
    }
    expect(took()).toBeLessThan(500);
  });
});

describe('byte strings', () => {
  it('are the UTF-8 bytes of a text, one character each', () => {
    expect(toBytes('a')).toBe('a');
    expect(toBytes('é')).toBe('\xc3\xa9');
    expect(toBytes('🔒')).toBe('\xf0\x9f\x94\x92');
  });

  it('turn back into the text', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => expect(fromBytes(toBytes(text))).toBe(text)));
  });

  it('become U+FFFD where they are no UTF-8', () => {
    expect(fromBytes('a\xff\xc3')).toBe('a\ufffd\ufffd');
  });

  it('are copied byte for byte', () => {
    const every = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('');
    expect(ownBytes(every)).toBe(every);
  });
});
