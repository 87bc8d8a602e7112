import type { DflockdServerOptions } from '../daemon/options.js';
import type { FlagSpec, FlagValue } from './flags.js';

/** A flag's option in camelCase. */
export const optionOf = (flag: string): string =>
  flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** An option's flag. */
export const flagOf = (option: string): string => option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const flag = (name: string, type: FlagSpec['type'], help: string, rest: Partial<FlagSpec> = {}): FlagSpec => ({
  name,
  type,
  env: `DFLOCKD_${name.toUpperCase().replaceAll('-', '_')}`,
  help,
  ...rest,
});

/** Durations have the unit in the variable's name. */
const duration = (name: string, help: string, alias?: string): FlagSpec =>
  flag(name, 'int', `${help} (seconds)`, {
    env: `DFLOCKD_${name.toUpperCase().replaceAll('-', '_')}_S`,
    ...(alias ? { alias } : {}),
  });

/** The flags of the daemon over TCP (spec 8). */
export const DAEMON_FLAGS: readonly FlagSpec[] = [
  flag('host', 'string', 'address to listen on (default 127.0.0.1)'),
  flag('port', 'int', 'port to listen on, 0 for any free one (default 6388)'),
  duration('default-lease-ttl', 'lease of requests that name none, default 33'),
  duration('lease-sweep-interval', 'expired leases are taken away this often, default 1'),
  duration('gc-interval', 'idle keys are looked for this often, default 5', 'DFLOCKD_GC_LOOP_SLEEP'),
  duration('gc-max-idle', 'keys idle for longer are forgotten, default 60', 'DFLOCKD_GC_MAX_UNUSED_TIME'),
  flag('max-locks', 'int', 'most keys, released ones included until they are forgotten (default 1024)'),
  flag('max-connections', 'int', 'most connections, 0 = unlimited (default 0)'),
  flag('max-connections-per-ip', 'int', 'most connections of one address, 0 = unlimited (default 0)'),
  flag('max-waiters', 'int', 'longest queue of a key, 0 = unlimited (default 0)'),
  flag('max-subscriptions', 'int', 'most signal patterns of a connection, 0 = 10,000 (default 0)'),
  duration('read-timeout', 'a connection silent for so long is closed, default 23'),
  duration('write-timeout', 'a connection that takes no reply for so long is closed, 0 = never, default 5'),
  duration('shutdown-timeout', 'how long a shutdown waits for clients to leave, 0 = for ever, default 30'),
  flag('auto-release-on-disconnect', 'bool', 'the end of a connection frees what it holds (default true)'),
  flag('tls-cert', 'string', 'certificate file (PEM), together with tls-key'),
  flag('tls-key', 'string', 'key file (PEM), together with tls-cert'),
  flag('auth-token', 'string', 'token that clients must present'),
  flag('auth-token-file', 'string', 'file with that token'),
  flag('debug', 'bool', 'log more (default false)'),
  { name: 'version', type: 'bool', help: 'print the version and exit' },
];

/** Flag over environment over default; a token's file counts with its own source (spec 8). */
export function daemonOptions(
  flags: ReadonlyMap<string, FlagValue>,
  env: ReadonlyMap<string, FlagValue>,
): DflockdServerOptions {
  const merged = new Map([...env, ...flags]);
  // An explicitly empty token is as none; a token or file given by flag hides both variables.
  const source = flags.get('auth-token') || flags.get('auth-token-file') ? flags : env;
  for (const name of ['auth-token', 'auth-token-file']) {
    const value = source.get(name);
    if (value) merged.set(name, value);
    else merged.delete(name);
  }
  for (const name of ['debug', 'version']) merged.delete(name);
  return Object.fromEntries([...merged].map(([name, value]) => [optionOf(name), value]));
}
