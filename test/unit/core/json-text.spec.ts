import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { quoteBytes } from '../../../lib/core/json-text.js';
import { fromBytes, toBytes } from '../../../lib/protocol/bytes.js';

/** Spec 5: the escapes of Go's encoder. */
describe('quoteBytes', () => {
  it.each([
    ['plain', '"plain"'],
    ['', '""'],
    ['"\\/', String.raw`"\"\\/"`],
    ['\b\f\n\r\t', String.raw`"\b\f\n\r\t"`],
    ['\0\x01\x1f\x7f', '"\\u0000\\u0001\\u001f\x7f"'],
    ['<>&', String.raw`"\u003c\u003e\u0026"`],
    [toBytes('a\u2028b\u2029'), String.raw`"a\u2028b\u2029"`],
    [toBytes('ключ 🔒 é'), `"${toBytes('ключ 🔒 é')}"`],
    ['\xff', String.raw`"\ufffd"`],
    ['\xc3', String.raw`"\ufffd"`],
    ['\xc3(', String.raw`"\ufffd("`],
    ['a\xe2\x80', String.raw`"a\ufffd\ufffd"`],
    // Overlong forms, surrogates and what is beyond U+10FFFF are not UTF-8.
    ['\xc0\xaf', String.raw`"\ufffd\ufffd"`],
    ['\xe0\x80\xaf', String.raw`"\ufffd\ufffd\ufffd"`],
    ['\xed\xa0\x80', String.raw`"\ufffd\ufffd\ufffd"`],
    ['\xf4\x90\x80\x80', String.raw`"\ufffd\ufffd\ufffd\ufffd"`],
    ['\xf4\x8f\xbf\xbf', '"\xf4\x8f\xbf\xbf"'],
    ['\xe0\x9f\xbf', String.raw`"\ufffd\ufffd\ufffd"`],
    ['\xf0\x8f\xbf\xbf', String.raw`"\ufffd\ufffd\ufffd\ufffd"`],
    ['\xf5\x80\x80\x80', String.raw`"\ufffd\ufffd\ufffd\ufffd"`],
    ['\xe2\x80(', String.raw`"\ufffd\ufffd("`],
    ['\xe1\x80(', String.raw`"\ufffd\ufffd("`],
    ['\xf1\x80\x80(', String.raw`"\ufffd\ufffd\ufffd("`],
  ])('writes %j', (bytes, text) => {
    expect(quoteBytes(bytes)).toBe(text);
  });

  it.each([
    ['two bytes', '\u0080\u07ff'],
    ['three bytes, from E0', '\u0800\u0fff'],
    ['three bytes, from E1 to EC', '\u1000\ucfff'],
    ['three bytes, from ED', '\ud000\ud7ff'],
    ['three bytes, from EE and EF', '\ue000\uffff'],
    ['four bytes, from F0', '\u{10000}\u{3ffff}'],
    ['four bytes, from F1 to F3', '\u{40000}\u{fffff}'],
    ['four bytes, from F4', '\u{100000}\u{10ffff}'],
  ])('leaves characters of %s as they are', (_, text) => {
    expect(quoteBytes(toBytes(text))).toBe(`"${toBytes(text)}"`);
  });

  it('writes what JSON.parse reads as the same text, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(JSON.parse(fromBytes(quoteBytes(toBytes(text))))).toBe(text);
      }),
    );
  });

  it('writes valid JSON for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const written = fromBytes(quoteBytes(Buffer.from(bytes).toString('latin1')));
        expect(typeof JSON.parse(written)).toBe('string');
        expect(written).not.toContain('\ufffd');
      }),
    );
  });
});
