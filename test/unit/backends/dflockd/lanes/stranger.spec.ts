import { describe, expect, it } from '@jest/globals';
import { describeStranger, isForeign, printable, quoted } from '../../../../../lib/backends/dflockd/lanes/stranger.js';

describe('somebody who is not dflockd', () => {
  it.each([
    ['HTTP/1.1 400 Bad Request\r\nConnection: close\r\n', 'an HTTP server answered: "HTTP/1.1 400 Bad Request"'],
    ['<!DOCTYPE html>\n', 'an HTTP server answered: "<!DOCTYPE html>"'],
    ['+PONG\r\n', 'a Redis server answered: "+PONG"'],
    ["-ERR unknown command 'ping'\r\n", 'a Redis server answered: "-ERR unknown command \'ping\'"'],
    ['-ERRATIC\n', 'something other than dflockd answered: "-ERRATIC"'],
    ['\x15\x03\x03\0\x02', 'a TLS server (set option remote.tls) answered: "\\x15\\x03\\x03\\x00\\x02"'],
    ['SSH-2.0-x\r\n', 'an SSH server answered: "SSH-2.0-x"'],
    ['ERROR\r\n', 'a memcached server answered: "ERROR"'],
    ['J\0\0\0\n8.0', 'a MySQL server answered: "J\\x00\\x00\\x00"'],
    ['AMQP\0\0\x09\x01', 'an AMQP broker answered: "AMQP\\x00\\x00\\x09\\x01"'],
    ['220 mail.example\r\n', 'a mail or FTP server answered: "220 mail.example"'],
    ['banana\n', 'something other than dflockd answered: "banana"'],
    ['', 'something other than dflockd answered: ""'],
  ])('is named by what it says: %j', (bytes, text) => expect(describeStranger(bytes, undefined)).toBe(text));

  it('is recognized by bytes that are no text', () => {
    expect(['\x15', 'ok\0', '\xff', '\t'].map(isForeign)).toEqual([true, true, true, true]);
    expect(['ok\r\n', 'error', '~ '].map(isForeign)).toEqual([false, false, false]);
  });
});

describe('what is quoted', () => {
  it('is cut, and does nothing to a terminal', () => {
    expect(quoted('x'.repeat(200))).toBe(`"${'x'.repeat(80)}"`);
    expect(quoted('a"b\\c\x1b\x9b\u2028')).toBe('"a\\"b\\\\c\\x1b\\x9b\\u2028"');
    expect(printable('bad certificate\n')).toBe('bad certificate\\x0a');
  });

  it.each(['the secret-token!', 'SECRET', 'cret', 'x'.repeat(76) + 'secr', "unknown 'ecre'"])(
    'is nothing with a part of the auth token in it: %j',
    (text) => expect(quoted(text, 'secret-token')).toBe('(not shown: it repeats part of the auth token)'),
  );

  it('is the rest', () => {
    expect(quoted('sec', 'secret-token')).toBe('"sec"');
    expect(quoted('', 'secret')).toBe('""');
    expect(quoted('abc', 'ab')).toMatch(/not shown/);
    expect(quoted('acb', 'ab')).toBe('"acb"');
  });
});
