import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type BodyFields, readBody } from '../../../../lib/daemon/http/json/json-body.js';
import { toBytes } from '../../../../lib/protocol/bytes.js';

const SHAPE = { token: 'text', lease_ttl_s: 'integer', acquire_timeout_s: 'integer', payload: 'text' } as const;
type Fields = BodyFields<typeof SHAPE>;
const EMPTY: Fields = { token: '', lease_ttl_s: 0, acquire_timeout_s: 0, payload: '' };

const read = (body: string | Buffer, blank?: boolean): Fields | string =>
  readBody(typeof body === 'string' ? Buffer.from(body) : body, SHAPE, blank);
const latin1 = (bytes: string): Buffer => Buffer.from(bytes, 'latin1');

/** Facts of the HTTP specification, 3.3: what Go's decoder accepts. */
describe('readBody accepts', () => {
  it.each<[string, string | Buffer, Partial<Fields>]>([
    ['null as an empty object', 'null', {}],
    ['null between white space', ' \t\r\nnull \t\r\n', {}],
    ['an empty object', '{}', {}],
    ['white space everywhere', ' \n{\t"lease_ttl_s" : \r7 , "token":"t" }\n\n', { lease_ttl_s: 7, token: 't' }],
    ['the README example', '{"acquire_timeout_s": 10, "lease_ttl_s": 60}', { acquire_timeout_s: 10, lease_ttl_s: 60 }],
    ['names in any case', '{"LEASE_TTL_S":1,"Token":"x"}', { lease_ttl_s: 1, token: 'x' }],
    ['names that fold to ASCII', '{"lease_ttl_\u017f":1,"to\u212aen":"x"}', { lease_ttl_s: 1, token: 'x' }],
    ['a name with escapes', String.raw`{"\u0074oken":"x","lea\u017fe_ttl_\u0053":3}`, { token: 'x', lease_ttl_s: 3 }],
    [
      'the last of equal names',
      '{"token":"a","lease_ttl_s":1,"TOKEN":"b","lease_ttl_s":2}',
      { token: 'b', lease_ttl_s: 2 },
    ],
    [
      'null after a value, which stays',
      '{"token":"a","token":null,"lease_ttl_s":4,"lease_ttl_s":null}',
      { token: 'a', lease_ttl_s: 4 },
    ],
    ['null alone as absent', '{"token":null,"lease_ttl_s":null}', {}],
    ['minus zero as zero', '{"lease_ttl_s":-0}', { lease_ttl_s: 0 }],
    ['a negative integer, for others to refuse', '{"lease_ttl_s":-12}', { lease_ttl_s: -12 }],
    ['2^53 - 1 as a number', '{"lease_ttl_s":9007199254740991}', { lease_ttl_s: 2 ** 53 - 1 }],
    ['2^53 + 1 exactly', '{"lease_ttl_s":9007199254740993}', { lease_ttl_s: 2n ** 53n + 1n }],
    ['2^63 - 1', '{"lease_ttl_s":9223372036854775807}', { lease_ttl_s: 2n ** 63n - 1n }],
    ['-2^63', '{"lease_ttl_s":-9223372036854775808}', { lease_ttl_s: -(2n ** 63n) }],
    ['all short escapes', String.raw`{"payload":"\"\\\/\b\f\n\r\t"}`, { payload: '"\\/\b\f\n\r\t' }],
    ['DEL and what JavaScript calls line separators', '{"payload":"\x7f\u2028"}', { payload: toBytes('\x7f\u2028') }],
    ['UTF-8 as its bytes', '{"payload":"ключ 🔒"}', { payload: toBytes('ключ 🔒') }],
    [
      'escaped characters as UTF-8',
      String.raw`{"payload":"\u0000\u007F\u00e9\u07fF\u20AC\ud83d\uDD12"}`,
      { payload: toBytes('\0\x7fé\u07ff€🔒') },
    ],
    [
      'an escaped half of a pair as U+FFFD',
      String.raw`{"payload":"\ud800a\udc00\ud83d"}`,
      { payload: toBytes('\ufffda\ufffd\ufffd') },
    ],
    ['a half before a pair', String.raw`{"payload":"\ud83d\ud83d\udd12"}`, { payload: toBytes('\ufffd🔒') }],
    ['a half before another character', String.raw`{"payload":"\ud83d\u0041"}`, { payload: toBytes('\ufffdA') }],
    [
      'bytes that are not UTF-8, one U+FFFD for each',
      latin1('{"payload":"\xff\xe2\x80(\xf0\x9f\x94"}'),
      { payload: toBytes('\ufffd\ufffd\ufffd(\ufffd\ufffd\ufffd') },
    ],
    [
      'overlong forms, surrogates and what is beyond U+10FFFF',
      latin1('{"payload":"\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf0\x8f\xbf\xbf\xf4\x90\x80\x80\xf5\x80"}'),
      { payload: toBytes('\ufffd'.repeat(18)) },
    ],
    [
      'a name that is not UTF-8 elsewhere only',
      latin1('{"payload":"\xf4\x8f\xbf\xbf\xee\x80\x80"}'),
      { payload: '\xf4\x8f\xbf\xbf\xee\x80\x80' },
    ],
    ['trailing white space up to the cap', `{"token":"x"}${' '.repeat(1_048_576 - 13)}`, { token: 'x' }],
  ])('%s', (_, body, fields) => {
    expect(read(body)).toEqual({ ...EMPTY, ...fields });
  });

  it.each(['', ' ', '\r\n\t '])('a blank body where one may be absent: %j', (body) => {
    expect(read(body, true)).toEqual(EMPTY);
  });
});

describe('readBody refuses', () => {
  const malformed = (at: number): string => `the body is not JSON at byte ${at}`;
  const notObject = 'the body must be a JSON object';
  const notInteger = 'lease_ttl_s must be an integer';

  it.each<[string, string | Buffer, string]>([
    ['an empty body', '', 'the body is empty'],
    ['white space only', ' \r\n\t', 'the body is empty'],
    ['an array', '[]', notObject],
    ['a number', '1', notObject],
    ['a string', '"{}"', notObject],
    ['true', 'true', notObject],
    ['null in capitals', 'NULL', notObject],
    ['a comment', '/* */{}', notObject],
    ['a comment inside', '{/**/}', malformed(1)],
    ['a byte order mark', '\ufeff{}', notObject],
    ['UTF-16', Buffer.from('{}', 'utf16le'), malformed(1)],
    ['white space of other alphabets', '\u00a0{}', notObject],
    ['a form feed', '\f{}', notObject],
    ['a form', 'token=abc', notObject],
    ['an unknown field', '{"token":"x","limits":1}', 'the body has an unknown field at byte 13'],
    ['an unknown field that is null', '{"secret":null}', 'the body has an unknown field at byte 1'],
    ['a name that objects inherit', '{"constructor":1}', 'the body has an unknown field at byte 1'],
    ['__proto__', '{"__proto__":{}}', 'the body has an unknown field at byte 1'],
    ['an empty name', '{"":1}', 'the body has an unknown field at byte 1'],
    ['a name that is not UTF-8', latin1('{"toke\xeen":"x"}'), 'the body has an unknown field at byte 1'],
    ['a trailing comma', '{"token":"x",}', malformed(13)],
    ['a comma alone', '{,}', malformed(1)],
    ['two commas', '{"token":"x",,"lease_ttl_s":1}', malformed(13)],
    ['no comma', '{"token":"x" "lease_ttl_s":1}', malformed(13)],
    ['no colon', '{"token" "x"}', malformed(9)],
    ['no value', '{"token":}', 'token must be a string'],
    ['a name without quotes', '{token:"x"}', malformed(1)],
    ['single quotes', "{'token':'x'}", malformed(1)],
    ['an object that does not end', '{', malformed(1)],
    ['a member that ends early', '{"token"', malformed(8)],
    ['a value that ends early', '{"token":"x"', malformed(12)],
    ['a string that does not end', '{"token":"x', malformed(11)],
    ['a string that ends in a backslash', '{"token":"x\\', malformed(13)],
    ['a second object', '{}{}', 'the body goes on after its JSON object'],
    ['text after the object', '{} x', 'the body goes on after its JSON object'],
    ['text after null', 'nullx', 'the body goes on after its JSON object'],
    ['NUL after the object', '{}\0', 'the body goes on after its JSON object'],
    ['a number for a text', '{"token":1}', 'token must be a string'],
    ['an object for a text', '{"token":{}}', 'token must be a string'],
    ['an array for a text', '{"token":["x"]}', 'token must be a string'],
    ['a wrong type that is corrected later', '{"token":1,"token":"x"}', 'token must be a string'],
    ['half of null', '{"token":nul}', 'token must be a string'],
    ['a fraction', '{"lease_ttl_s":10.0}', notInteger],
    ['an exponent', '{"lease_ttl_s":1e1}', notInteger],
    ['a large exponent', '{"lease_ttl_s":1E1}', notInteger],
    ['a number as text', '{"lease_ttl_s":"1"}', notInteger],
    ['true for an integer', '{"lease_ttl_s":true}', notInteger],
    ['an array for an integer', '{"lease_ttl_s":[1]}', notInteger],
    ['a plus sign', '{"lease_ttl_s":+1}', notInteger],
    ['a minus alone', '{"lease_ttl_s":-}', notInteger],
    ['a leading zero', '{"lease_ttl_s":01}', malformed(15)],
    ['a leading zero after a minus', '{"lease_ttl_s":-01}', malformed(16)],
    ['hexadecimal', '{"lease_ttl_s":0x1}', malformed(16)],
    ['a number with a letter', '{"lease_ttl_s":1n}', malformed(16)],
    ['2^63', '{"lease_ttl_s":9223372036854775808}', 'lease_ttl_s does not fit in 64 bits'],
    ['-2^63 - 1', '{"lease_ttl_s":-9223372036854775809}', 'lease_ttl_s does not fit in 64 bits'],
    ['a million digits', `{"lease_ttl_s":${'9'.repeat(1_000_000)}}`, 'lease_ttl_s does not fit in 64 bits'],
    ['a line break in a text', '{"token":"a\nb"}', malformed(11)],
    ['a tab in a text', '{"token":"a\tb"}', malformed(11)],
    ['NUL in a text', '{"token":"\0"}', malformed(10)],
    ['an unknown escape', String.raw`{"token":"a\x41"}`, malformed(11)],
    ['an escaped single quote', String.raw`{"token":"\'"}`, malformed(10)],
    ['an escape that is no hexadecimal', String.raw`{"token":"\u00g0"}`, malformed(10)],
    ['a short escape', String.raw`{"token":"\u004"}`, malformed(10)],
    ['a malformed escape after a half of a pair', String.raw`{"token":"\ud83d\u00"}`, malformed(16)],
    ['deep nesting', `{"token":${'['.repeat(1_000_000)}`, 'token must be a string'],
  ])('%s', (_, body, fault) => {
    expect(read(body)).toBe(fault);
  });

  it.each(['x', '\0', '{', '{} x'])('a body that is not blank where one may be absent: %j', (body) => {
    expect(typeof read(body, true)).toBe('string');
  });

  it('every prefix of a body', () => {
    const body = Buffer.from(String.raw`{"token":"a\u0041\n🔒","lease_ttl_s":-12,"payload":null}`);
    for (let end = 0; end < body.length; end++)
      expect([end, typeof read(body.subarray(0, end))]).toEqual([end, 'string']);
  });

  it('a body without a word of its content', () => {
    const secret = '0001a3f217b3c4d87f3c1f2b3e9a8d6e';
    for (const body of [`{"${secret}":1}`, `{"token":"${secret}\n"}`, `{"token":"${secret}"} ${secret}`, secret]) {
      expect(read(body)).not.toContain(secret.slice(0, 8));
    }
  });
});

describe('readBody and JSON.parse', () => {
  const name = fc.constantFrom('token', 'payload', 'lease_ttl_s', 'acquire_timeout_s');
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.maxSafeInteger(), fc.constant(null));

  it('agree on objects of the fields', () => {
    fc.assert(
      fc.property(fc.dictionary(name, value), fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        const isRight = Object.entries(object).every(
          ([key, given]) => given === null || typeof given === (key.endsWith('_s') ? 'number' : 'string'),
        );
        const given = Object.entries(object).filter(([, each]) => each !== null);
        const fields = given.map(([key, each]) => [key, typeof each === 'string' ? toBytes(each) : each]);
        const got = read(JSON.stringify(object, null, indent));
        if (isRight) expect(got).toEqual({ ...EMPTY, ...Object.fromEntries(fields) });
        else expect(typeof got).toBe('string');
      }),
    );
  });

  it('refuse the same bytes, or readBody refuses more', () => {
    const piece = fc.constantFrom(
      ...[
        '{',
        '}',
        '"token"',
        '"',
        ':',
        ',',
        '1',
        '-',
        '0',
        '.5',
        'null',
        ' ',
        '\\',
        '\\u00',
        '41',
        '\x01',
        '"lease_ttl_s":',
        'é',
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12, size: 'max' }), (pieces) => {
        const body = pieces.join('');
        if (typeof read(body) === 'string') return;
        expect(() => JSON.parse(body) as unknown).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });
});
