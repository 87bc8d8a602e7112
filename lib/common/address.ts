import { isIPv6 } from 'node:net';
import { ConfigError } from './errors.js';
import { show } from './shown.js';

/** Characters that occur in no host name and no IP address. */
const NO_HOST = /[\s[\]/\\@?#,;"'<>{}|^`]/;

/** Why `host` is not a valid host; undefined if it may be one. */
export function hostFault(host: string): string | undefined {
  if (host.includes('://')) return 'an address has no scheme';
  if (host.includes('@')) return 'an address has no user or password';
  if (/\S[\s,;]+\S/.test(host)) return 'give one address per entry';
  if (host === '' || NO_HOST.test(host)) return 'this is not a host name or address';
  if (host.includes(':') && !isIPv6(host)) return 'only an IPv6 address has more than one colon';
  return undefined;
}

/** An address for messages, with user and password hidden, whether or not a scheme precedes them. */
export function showAddress(value: unknown): string {
  if (Array.isArray(value)) {
    const parts = value.slice(0, 3).map((part: unknown) => (typeof part === 'string' ? hidden(part) : part));
    return show(parts);
  }
  return typeof value === 'string' ? show(hidden(value)) : show(value);
}

const hidden = (text: string): string => text.replace(/^((?:[^/]*\/\/)?)[\s\S]*@/, '$1***@');

/** An address, and its text for messages and logs. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
  readonly label: string;
}

const hostAndPort = (host: string, port: number): HostAndPort =>
  Object.freeze({ host, port, label: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` });

/**
 * `host`, `host:port`, `[v6]:port`, `[host, port]`.
 * @param otherwise the port if the address names none
 * @param least 0 if port 0 is allowed
 * @throws ConfigError
 */
export function parseAddress(
  option: string,
  value: unknown,
  { otherwise, least = 1 }: { readonly otherwise: number; readonly least?: 0 | 1 },
): HostAndPort {
  const [host, port] = splitAddress(value, otherwise);
  const number = typeof port === 'string' && /^[0-9]+$/.test(port) ? Number(port) : port;
  const fault = addressFault(value, host);
  const valid = Number.isInteger(number) && Number(number) >= least && Number(number) <= 65_535;
  if (fault !== undefined || typeof host !== 'string' || !valid) {
    const reason = fault === undefined ? '' : `; ${fault}`;
    throw new ConfigError(
      `option ${option}: expected host, host:port or [host, port], got ${showAddress(value)}${reason}`,
    );
  }
  return hostAndPort(host, Number(number));
}

/** Checks the whole text before its parts: a scheme contains a colon, and so may a list of addresses. */
function addressFault(value: unknown, host: unknown): string | undefined {
  const whole =
    typeof value === 'string' || value instanceof URL ? hostFault(String(value).replace(/[[\]]/g, '')) : undefined;
  if (whole !== undefined && !/colon/.test(whole)) return whole;
  return typeof host === 'string' ? hostFault(host) : undefined;
}

function splitAddress(value: unknown, otherwise: number): [host: unknown, port: unknown] {
  if (Array.isArray(value) && value.length === 2) return [value[0], value[1]];
  if (typeof value !== 'string') return [undefined, undefined];
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(value);
  if (bracketed) return [bracketed[1], bracketed[2] ?? otherwise];
  const colons = value.split(':').length - 1;
  // More than one colon without brackets is an IPv6 address without port.
  if (colons !== 1) return [value, otherwise];
  return value.split(':') as [string, string];
}
