/** Number of characters quoted from a peer. */
const QUOTED = 80;
/** Text that repeats this many characters of the auth token is not quoted. */
const SECRET_RUN = 4;

/** Other servers, by the first bytes that they send. */
const KNOWN: readonly (readonly [RegExp, string])[] = [
  [/^HTTP\/|^<(!doctype|html)/i, 'an HTTP server'],
  [/^(\+PONG|-(ERR|NOAUTH|NOPERM|DENIED|LOADING|MASTERDOWN|WRONGPASS)\b)/, 'a Redis server'],
  [/^[\x15\x16]\x03/, 'a TLS server (set option remote.tls)'],
  [/^SSH-/, 'an SSH server'],
  [/^(CLIENT_)?ERROR\b/, 'a memcached server'],
  [/^.\0\0\0[\n\xff]/s, 'a MySQL server'],
  [/^AMQP/, 'an AMQP broker'],
  [/^220[ -]/, 'a mail or FTP server'],
];

/** Whether dflockd cannot have sent this: it answers `auth` and `ping` with printable ASCII only. */
export const isForeign = (bytes: string): boolean => /[^\x20-\x7e\r\n]/.test(bytes);

/**
 * Names the peer that sent `bytes` and quotes their first line. `secret`: a byte string that is never quoted, not even
 * in part.
 */
export function describeStranger(bytes: string, secret: string | undefined): string {
  const who = KNOWN.find(([pattern]) => pattern.test(bytes))?.[1] ?? 'something other than dflockd';
  return `${who} answered: ${quoted(bytes.split('\n', 1)[0]!.replace(/\r$/, ''), secret)}`;
}

/** The beginning of `text`, quoted and safe to print. */
export function quoted(text: string, secret?: string): string {
  const start = text.slice(0, QUOTED);
  if (secret !== undefined && repeats(start, secret)) return '(not shown: it repeats part of the auth token)';
  return `"${printable(start)}"`;
}

/** The output of another program, made safe for a log. */
export const printable = (text: string): string => text.replace(/[^\x20-\x7e]|["\\]/g, escaped);

function escaped(char: string): string {
  if (char === '"' || char === '\\') return `\\${char}`;
  const code = char.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}

function repeats(text: string, secret: string): boolean {
  const [where, what] = [secret.toLowerCase(), text.toLowerCase()];
  const run = Math.min(SECRET_RUN, where.length);
  for (let at = 0; at + run <= what.length; at++) if (where.includes(what.slice(at, at + run))) return true;
  return false;
}
