import { hostFault, parseAddress, showAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { checkNames, checkNumber, checkObject, MAX_TIMER_SECONDS, wrong } from '../../common/option-checks.js';
import { show } from '../../common/shown.js';
import { HTTP_DEFAULTS, isOrigin } from '../../daemon/shared/http-options.js';
import { LOCKD_OPTIONS } from '../../daemon/shared/lockd-options.js';
import { DEFAULT_LEASE_TTL_S, DEFAULT_PORT } from '../../protocol/limits.js';
import {
  ELSEWHERE,
  EMBEDDED_NUMBERS,
  EMBEDDED_TEXTS,
  type EmbeddedConfig,
  embeddedConfig,
  HTTP_OPTIONS,
  OF_CONNECTIONS,
} from './embedded-config.js';

const KNOWN = [
  'listen', 'defaultLeaseTtl', ...Object.keys(EMBEDDED_NUMBERS), 'autoReleaseOnDisconnect', 'fenceStateFile',
  ...HTTP_OPTIONS, ...LOCKD_OPTIONS, ...EMBEDDED_TEXTS,
]; // prettier-ignore

/** @throws ConfigError that names option and value */
export function resolveEmbedded(value: unknown): EmbeddedConfig {
  if (value !== true && (typeof value !== 'object' || value === null)) {
    throw wrong('embedded', 'true or an object', value);
  }
  const options = value === true ? {} : checkObject('embedded', value);
  checkEachName(options);
  for (const [name, { least, above, most, whole }] of Object.entries(EMBEDDED_NUMBERS)) {
    const range = { min: least, max: most ?? Number.MAX_SAFE_INTEGER, open: above ?? false, integer: whole ?? false };
    checkNumber(`embedded.${name}`, options[name], range);
  }
  const { listen, defaultLeaseTtl, ...rest } = options;
  const lease = { min: 0, max: MAX_TIMER_SECONDS, open: true };
  const leaseS = checkNumber('embedded.defaultLeaseTtl', defaultLeaseTtl, lease) ?? DEFAULT_LEASE_TTL_S;
  checkTexts(options);
  checkHttp(options);
  for (const name of ['autoReleaseOnDisconnect', 'lockdDump', 'lockdRegistry']) {
    const flag = options[name];
    if (flag !== undefined && typeof flag !== 'boolean') throw wrong(`embedded.${name}`, 'true or false', flag);
  }
  checkLockdAddress(options);
  const address =
    listen === undefined ? undefined : parseAddress('embedded.listen', listen, { otherwise: DEFAULT_PORT, least: 0 });
  if (address && address.port !== 0 && options['httpPort'] === address.port) {
    throw wrong('embedded.httpPort', 'another port than that of embedded.listen', address.port);
  }
  return embeddedConfig(rest, address, leaseS);
}

function checkEachName(options: Readonly<Record<string, unknown>>): void {
  for (const [name, instead] of Object.entries(ELSEWHERE)) {
    if (options[name] === undefined) continue;
    throw new ConfigError(`option embedded.${name} is unknown, got ${show(options[name])}; ${instead}`);
  }
  checkNames('embedded', options, KNOWN);
  if (options['listen'] !== undefined) return;
  const pointless = OF_CONNECTIONS.find((name) => options[name] !== undefined);
  if (pointless) throw new ConfigError(`option embedded.${pointless} requires embedded.listen`);
}

function checkLockdAddress({ lockdPort, lockdHost }: Readonly<Record<string, unknown>>): void {
  checkNumber('embedded.lockdPort', lockdPort, { min: 0, max: 65_535, integer: true });
  if (lockdHost === undefined) return;
  const fault = typeof lockdHost === 'string' ? hostFault(lockdHost) : 'it is not a string';
  if (fault === undefined) return;
  const given = showAddress(lockdHost);
  throw new ConfigError(`option embedded.lockdHost: expected a host name or address, got ${given}; ${fault}`);
}

/** The numbers among them have been checked. */
function checkHttp(options: Readonly<Record<string, unknown>>): void {
  const { httpHost: host, httpCorsAllowedOrigins: origins } = options;
  if (host !== undefined && host !== '') {
    const fault = typeof host === 'string' ? hostFault(host) : 'it is not a string';
    if (fault !== undefined) {
      throw new ConfigError(`option embedded.httpHost: expected a host, got ${showAddress(host)}; ${fault}`);
    }
  }
  if (origins !== undefined && !(Array.isArray(origins) && origins.every(isOrigin))) {
    throw wrong('embedded.httpCorsAllowedOrigins', 'a list of origins such as https://example.com', origins);
  }
  const ping = Number(options['httpSsePingInterval'] ?? 0) || HTTP_DEFAULTS.httpSsePingInterval;
  const idle = Number(options['httpSessionIdleTimeout'] ?? HTTP_DEFAULTS.httpSessionIdleTimeout);
  if (idle === 0 || ping < idle) return;
  const isPing = options['httpSsePingInterval'] !== undefined;
  if (isPing) throw wrong('embedded.httpSsePingInterval', `less than the idle timeout of sessions, ${idle} s`, ping);
  throw wrong('embedded.httpSessionIdleTimeout', `0 or more than the interval of pings, ${ping} s`, idle);
}

function checkTexts(options: Readonly<Record<string, unknown>>): void {
  for (const name of [...EMBEDDED_TEXTS, 'fenceStateFile']) {
    const text = options[name];
    if (text === undefined || (typeof text === 'string' && text.trim() !== '')) continue;
    // The token is a secret, so it is not quoted.
    if (name === 'authToken') throw new ConfigError('option embedded.authToken: expected a string that is not blank');
    throw wrong(`embedded.${name}`, 'the path of a file', text);
  }
}
