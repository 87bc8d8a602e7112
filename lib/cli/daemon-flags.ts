import type { DflockdServerOptions } from '../daemon/shared/options.js';
import type { FlagSpec, FlagValue } from './flags.js';

/** The option of a flag, in camelCase. */
export const optionOf = (flag: string): string =>
  flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The flag of an option. */
export const flagOf = (option: string): string => option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const flag = (name: string, type: FlagSpec['type'], help: string, rest: Partial<FlagSpec> = {}): FlagSpec => ({
  name,
  type,
  env: `DFLOCKD_${name.toUpperCase().replaceAll('-', '_')}`,
  help,
  ...rest,
});

/** A duration flag; the name of its environment variable ends with the unit. */
const duration = (name: string, help: string, rest: Partial<FlagSpec> = {}): FlagSpec =>
  flag(name, 'int', `${help} (seconds)`, { env: `DFLOCKD_${name.toUpperCase().replaceAll('-', '_')}_S`, ...rest });

/** The flags of the `daemon` command (spec 8). */
export const DAEMON_FLAGS: readonly FlagSpec[] = [
  flag('host', 'string', 'address to listen on (default 127.0.0.1)'),
  flag('port', 'int', 'port to listen on, 0 for any free port (default 6388)'),
  duration('default-lease-ttl', 'lease of requests that specify none, default 33'),
  duration('lease-sweep-interval', 'how often expired leases are freed, default 1'),
  duration('gc-interval', 'how often idle keys are removed, default 5', { alias: 'DFLOCKD_GC_LOOP_SLEEP' }),
  duration('gc-max-idle', 'keys idle for longer are removed, default 60', {
    alias: 'DFLOCKD_GC_MAX_UNUSED_TIME',
  }),
  flag('max-locks', 'int', 'most keys, including released ones until they are removed (default 1024)'),
  flag('max-connections', 'int', 'most connections, 0 = unlimited (default 0)'),
  flag('max-connections-per-ip', 'int', 'most connections from one address, 0 = unlimited (default 0)'),
  flag('max-waiters', 'int', 'longest queue of a key, 0 = unlimited (default 0)'),
  flag('max-subscriptions', 'int', 'most signal patterns of a connection, 0 = 10,000 (default 0)'),
  duration('read-timeout', 'a connection silent for this long is closed, default 23'),
  duration('write-timeout', 'a connection that reads no reply for this long is closed, 0 = never, default 5'),
  duration('shutdown-timeout', 'how long a shutdown waits for clients to leave, 0 = forever, default 30'),
  flag('auto-release-on-disconnect', 'bool', 'closing a connection frees what it holds (default true)'),
  flag(
    'fence-state-file',
    'string',
    'file that keeps fences rising across restarts; one daemon at a time (default none)',
  ),
  flag('http-port', 'int', 'port of the HTTP interface, 0 = off (default 0)'),
  flag('http-host', 'string', 'address of the HTTP interface (default: host)'),
  duration('http-session-idle-timeout', 'a session not named for twice as long is ended, 0 = never, default 20', {
    env: 'DFLOCKD_HTTP_SESSION_IDLE_S',
  }),
  flag('http-max-sessions', 'int', 'most sessions over HTTP, 0 = unlimited (default 0)'),
  flag('http-max-sessions-per-ip', 'int', 'most sessions over HTTP from one address, 0 = unlimited (default 0)'),
  flag('http-max-connections-per-ip', 'int', 'most HTTP connections from one address, 0 = unlimited (default 0)'),
  flag('http-rate-limit-per-ip', 'int', 'most HTTP requests a second from one address, 0 = unlimited (default 0)'),
  flag('http-rate-limit-burst', 'int', 'requests an address may send at once, 0 = the rate (default 0)'),
  duration('http-sse-ping-interval', 'how often the sessions of signal streams are pinged, 0 = 15, default 15', {
    env: 'DFLOCKD_HTTP_SSE_PING_S',
  }),
  flag('http-sse-keep-alive', 'bool', 'streams that are silent for that long get a comment (default false)'),
  flag('http-cors-allowed-origins', 'string', 'origins whose pages may use the HTTP interface, * = any (comma list)'),
  flag('tls-cert', 'string', 'certificate file (PEM), together with tls-key'),
  flag('tls-key', 'string', 'key file (PEM), together with tls-cert'),
  flag('auth-token', 'string', 'token that clients must present'),
  flag('auth-token-file', 'string', 'file that contains the token'),
  flag('lockd-port', 'int', 'port for clients of lockd and glockd, 0 for any free port (default none; theirs is 9999)'),
  flag('lockd-host', 'string', 'address of that port (default 127.0.0.1)'),
  flag('lockd-dump', 'bool', 'its clients may list who holds what (default true)'),
  flag('lockd-registry', 'bool', 'its clients may give themselves names (default true)'),
  flag('debug', 'bool', 'log more (default false)'),
  { name: 'version', type: 'bool', help: 'print the version and exit' },
];

/** Flags whose values are comma lists. */
const LISTS: ReadonlySet<string> = new Set(['http-cors-allowed-origins']);

/** Merges flags and environment; flags win. Token and token file come from the same source (spec 8). */
export function daemonOptions(
  flags: ReadonlyMap<string, FlagValue>,
  env: ReadonlyMap<string, FlagValue>,
): DflockdServerOptions {
  const merged = new Map([...env, ...flags]);
  // An empty token counts as none; a token or a token file given as a flag overrides both variables.
  const source = flags.get('auth-token') || flags.get('auth-token-file') ? flags : env;
  for (const name of ['auth-token', 'auth-token-file']) {
    const value = source.get(name);
    if (value) merged.set(name, value);
    else merged.delete(name);
  }
  for (const name of ['debug', 'version']) merged.delete(name);
  return Object.fromEntries(
    [...merged].map(([name, value]) => [optionOf(name), LISTS.has(name) ? String(value).split(',') : value]),
  );
}
