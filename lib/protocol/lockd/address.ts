import { hostFault } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { show, shown } from '../../common/shown.js';
import { DEFAULT_HOST } from '../limits.js';

export interface LockdAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * `[host:]port`, on 127.0.0.1 without a host; an IPv6 address is in brackets.
 * @param least 0 if port 0 is allowed
 * @throws ConfigError
 */
export function parseLockdAddress(tcp: unknown, least: 0 | 1): LockdAddress {
  const text = typeof tcp === 'number' ? String(tcp) : tcp;
  const parts = typeof text === 'string' ? /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d+)$/.exec(text) : null;
  const host = parts?.[1] ?? parts?.[2] ?? DEFAULT_HOST;
  if (!parts || hostFault(host) !== undefined) {
    throw new ConfigError(`Invalid [host:]port string: ${typeof text === 'string' ? shown(text) : show(text)}`);
  }
  const port = Number(parts[3]);
  if (port < least || port > 65_535) throw new ConfigError(`Port ${parts[3]} is not valid.`);
  return { host, port };
}
