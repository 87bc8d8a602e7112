import { hostFault, parseAddress, showAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { checkNames, checkNumber, checkObject, MAX_TIMER_SECONDS, wrong } from '../../common/option-checks.js';
import { show } from '../../common/shown.js';
import { LOCKD_OPTIONS } from '../../daemon/shared/lockd-options.js';
import { DEFAULT_LEASE_TTL_S, DEFAULT_PORT } from '../../protocol/limits.js';
import {
  ELSEWHERE,
  EMBEDDED_NUMBERS,
  EMBEDDED_TEXTS,
  type EmbeddedConfig,
  embeddedConfig,
  OF_CONNECTIONS,
} from './embedded-config.js';

const KNOWN = [
  'listen', 'defaultLeaseTtl', ...Object.keys(EMBEDDED_NUMBERS), 'autoReleaseOnDisconnect', ...EMBEDDED_TEXTS,
  ...LOCKD_OPTIONS,
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
  for (const name of ['autoReleaseOnDisconnect', 'lockdDump', 'lockdRegistry']) {
    const flag = options[name];
    if (flag !== undefined && typeof flag !== 'boolean') throw wrong(`embedded.${name}`, 'true or false', flag);
  }
  checkLockdAddress(options);
  const address =
    listen === undefined ? undefined : parseAddress('embedded.listen', listen, { otherwise: DEFAULT_PORT, least: 0 });
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

function checkTexts(options: Readonly<Record<string, unknown>>): void {
  for (const name of EMBEDDED_TEXTS) {
    const text = options[name];
    if (text === undefined || (typeof text === 'string' && text.trim() !== '')) continue;
    // The token is a secret, so it is not quoted.
    if (name === 'authToken') throw new ConfigError('option embedded.authToken: expected a string that is not blank');
    throw wrong(`embedded.${name}`, 'the path of a file', text);
  }
}
