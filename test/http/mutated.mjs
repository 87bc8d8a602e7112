import { requestText } from './http-socket.mjs';

const LONG = 70_000;
const METHODS = [
  'GET',
  'POST',
  'DELETE',
  'PUT',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'post',
  'BREW',
  'M-SEARCH',
  '',
];
const SEGMENTS = [
  '%2F',
  '%00',
  '%ff',
  '\xff',
  '%',
  '%zz',
  '%2e%2e',
  '..',
  '.',
  '',
  '+',
  ';',
  '\\',
  '%0A',
  '%20',
  '#',
  '?',
];
const TARGETS = [
  '*',
  '/',
  '//',
  'http://other/health',
  'daemon:80',
  '/v1',
  '/v1/locks',
  '/v1/locks/',
  '/health?x=%',
  '/ready/',
];
const VERSIONS = ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', 'HTTP/1.1 ', '', 'HTTPS/1.1'];
const HEADERS = [
  'Host: other',
  'Host:',
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Content-Length: 0x10',
  'Content-Length : 3',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding:\tchunked',
  'Connection: close',
  'Connection: upgrade\r\nUpgrade: h2c',
  'Expect: 100-continue',
  'Expect: 200-ok',
  'X-Dflockd-Session: x',
  'X-Dflockd-Session:',
  'Authorization: Basic abc',
  'Origin: null',
  'Access-Control-Request-Method: POST',
  'Content-Encoding: gzip',
  ' folded',
  ': nameless',
  'no colon',
  'Na me: x',
  'X-Nul: \0',
  'X-Raw: \xff\xfe',
];
const BODIES = [
  '',
  ' ',
  'null',
  '[]',
  '{}{}',
  '{"acquire_timeout_s":1e1}',
  '{"acquire_timeout_s":-1}',
  '{"acquire_timeout_s":9223372036854775808}',
  '{"lease_ttl_s":9223372037}',
  '{"limit":0}',
  '{"limit":9223372036854775807}',
  '{"token":"\\ud800"}',
  '{"token":" "}',
  '{"payload":"\\n"}',
  '{"unknown":1}',
  '{"lease_ttl_s":null,"LEASE_TTL_S":1}',
  `{"token":"${'x'.repeat(300)}"}`,
  `{"payload":"${'x'.repeat(66_000)}"}`,
  '['.repeat(5000),
  '\xef\xbb\xbf{}',
];
const NUMBERS = ['0', '-0', '1', '-1', '1.0', '1e400', '9223372036', '9223372037', '18446744073709551616', '""', '{}'];

/** A valid request. @param {import('./random.mjs').Random} random */
export function validRequest(random, { sid, token, key, secret }) {
  const path = encodeURIComponent(key);
  const headers = { 'X-Dflockd-Session': sid, ...(secret === undefined ? {} : { Authorization: `Bearer ${secret}` }) };
  const post = (target, fields) => requestText('POST', target, headers, JSON.stringify(fields));
  const of = random.oneIn(3) ? `/v1/semaphores/${path}` : `/v1/locks/${path}`;
  const limit = of.startsWith('/v1/s') ? { limit: 2 } : {};
  return random.of([
    () => post(of, { acquire_timeout_s: 0, lease_ttl_s: 5, ...limit }),
    () => post(of, { acquire_timeout_s: 0, lease_ttl_s: 5, ...limit }),
    () => post(`${of}/release`, { token }),
    () => post(`${of}/renew`, { token, lease_ttl_s: 5 }),
    () => post(`${of}/enqueue`, { lease_ttl_s: 5, ...limit }),
    () => post(`${of}/wait`, { timeout_s: 0 }),
    () => post(`/v1/signals/fuzz.${path}`, { payload: 'x' }),
    () => requestText('GET', '/v1/signals?pattern=fuzz.%3E&group=g', headers),
    () => requestText('GET', random.of(['/health', '/ready', '/v1/stats', '/v1/stats']), headers),
    () =>
      random.oneIn(20) ? requestText('GET', random.of(['/metrics', '/v1/openapi.json']), headers) : post(of, limit),
    () => requestText('POST', `/v1/sessions/${sid}/ping`, headers),
    () => (random.oneIn(10) ? requestText('DELETE', `/v1/sessions/${sid}`, headers) : post(of, limit)),
  ])();
}

const byte = (random) => String.fromCharCode(random.below(256));
const cut = (text, at, length, by) => text.slice(0, at) + by + text.slice(at + length);
const place = (random, text) => random.below(text.length + 1);

function inParts(text, change) {
  const line = text.indexOf('\r\n');
  const end = text.indexOf('\r\n\r\n');
  if (line < 0 || end < line) return text;
  const [method, target, version] = text.slice(0, line).split(' ');
  const parts = {
    method,
    target: target ?? '',
    version: version ?? '',
    headers: text.slice(line + 2, end).split('\r\n'),
    body: text.slice(end + 4),
    newLine: '\r\n',
  };
  change(parts);
  const { newLine } = parts;
  return `${[parts.method, parts.target, parts.version].join(' ')}${newLine}${parts.headers.join(newLine)}${newLine}${newLine}${parts.body}`;
}

const setLength = (parts, length) => {
  parts.headers = parts.headers.filter((field) => !/^content-length:/i.test(field));
  parts.headers.push(`Content-Length: ${length}`);
};

/** Each can be applied to what another one made, or itself. */
export const MUTATIONS = [
  (random, text) => cut(text, place(random, text), 1, byte(random)),
  (random, text) => cut(text, place(random, text), 0, byte(random).repeat(random.below(4) + 1)),
  (random, text) => cut(text, place(random, text), random.below(20), ''),
  (random, text) => {
    const at = place(random, text);
    return cut(text, at, 0, text.slice(at, at + random.below(100)));
  },
  (random, text) => text.slice(0, place(random, text)),
  (random, text) => inParts(text, (parts) => (parts.method = random.of(METHODS))),
  (random, text) => inParts(text, (parts) => (parts.target = random.of(TARGETS))),
  (random, text) =>
    inParts(text, (parts) => (parts.target = cut(parts.target, place(random, parts.target), 0, random.of(SEGMENTS)))),
  (random, text) =>
    inParts(
      text,
      (parts) =>
        (parts.target = parts.target.replace(/[^/]*$/, (last) =>
          random.of([`${last}/`, `../${last}`, `/${last}`, 'x'.repeat(257)]),
        )),
    ),
  (random, text) => inParts(text, (parts) => (parts.version = random.of(VERSIONS))),
  (random, text) =>
    inParts(text, (parts) => parts.headers.splice(random.below(parts.headers.length + 1), 0, random.of(HEADERS))),
  (random, text) => inParts(text, (parts) => parts.headers.splice(random.below(parts.headers.length), 1)),
  (random, text) =>
    inParts(text, (parts) => {
      parts.body = random.of(BODIES);
      setLength(parts, parts.body.length);
    }),
  (random, text) =>
    inParts(text, (parts) => {
      parts.body = parts.body.replace(/\d+|"[^"]*"/, () => random.of(NUMBERS));
      setLength(parts, parts.body.length);
    }),
  (random, text) => inParts(text, (parts) => setLength(parts, parts.body.length + random.below(7) - 3)),
  (random, text) => inParts(text, (parts) => chunk(random, parts)),
  (random, text) => inParts(text, (parts) => (parts.newLine = random.of(['\n', '\r', '\r\r\n', '\n\r\n']))),
  (random, text) =>
    random.oneIn(20) ? inParts(text, (parts) => parts.headers.push(`X-Long: ${'x'.repeat(LONG)}`)) : text,
  (random, text) => (random.oneIn(20) ? inParts(text, (parts) => (parts.target += 'x'.repeat(LONG))) : text),
  (random, text) =>
    random.oneIn(20)
      ? inParts(text, (parts) => parts.headers.push(...Array.from({ length: 3000 }, (_, i) => `X-${i}: y`)))
      : text,
  (random, text) =>
    random.oneIn(50)
      ? inParts(text, (parts) => {
          parts.body = parts.body.padEnd(1024 * 1024 + random.below(3));
          setLength(parts, parts.body.length);
        })
      : text,
];

function chunk(random, parts) {
  parts.headers = parts.headers.filter((field) => !/^content-length:/i.test(field));
  parts.headers.push('Transfer-Encoding: chunked');
  const { body } = parts;
  const at = random.below(body.length + 1);
  const sizes = [at, body.length - at].map((size) => size.toString(16));
  if (random.oneIn(4))
    sizes[0] = random.of(['', 'g', '-1', 'fffffffffffffffff', '0', `${sizes[0]};x=y`, ` ${sizes[0]}`]);
  const pieces = [body.slice(0, at), body.slice(at)].map((piece, i) =>
    piece === '' ? '' : `${sizes[i]}\r\n${piece}\r\n`,
  );
  parts.body = `${pieces.join('')}0\r\n${random.oneIn(4) ? 'Trailer: x\r\n' : ''}\r\n`;
}

/** What a client sends instead of a valid request; in one of ten cases the valid request. */
export function mutated(random, text) {
  let result = text;
  if (random.oneIn(10)) return result;
  for (let times = random.below(3); times >= 0; times--) result = random.of(MUTATIONS)(random, result);
  return result;
}
