import type { EmbeddedConfig } from '../../backends/embedded/embedded-config.js';
import { ConfigError } from '../../common/errors.js';
import { DEFAULT_LEASE_TTL_S } from '../../protocol/limits.js';
import { checkBounds } from './bounds.js';
import { checkNames, checkNumber, checkObject, wrong } from '../../common/option-checks.js';
import { parseAddress } from './resolve-remote.js';

const KNOWN = ['listen', 'maxLocks', 'maxWaiters', 'defaultLeaseTtl', 'authToken'];
const DEFAULT_MAX_LOCKS = 1_000_000;

/** @throws ConfigError that names option and value */
export function resolveEmbedded(value: unknown): EmbeddedConfig {
  if (value !== true && (typeof value !== 'object' || value === null)) {
    throw wrong('embedded', 'true or an object', value);
  }
  const options = value === true ? {} : checkObject('embedded', value);
  checkNames('embedded', options, KNOWN);
  const { authToken, listen } = options;
  if (authToken !== undefined && listen === undefined) {
    throw new ConfigError('option embedded.authToken has no meaning without embedded.listen');
  }
  if (authToken !== undefined && (typeof authToken !== 'string' || authToken.trim() === '')) {
    throw new ConfigError('option embedded.authToken: expected a string that is not blank');
  }
  const count = (name: string, min: number) =>
    checkNumber(`embedded.${name}`, options[name], { min, max: Number.MAX_SAFE_INTEGER, integer: true });
  const lease = checkBounds('embedded.defaultLeaseTtl', options.defaultLeaseTtl);
  const leaseS = lease ?? DEFAULT_LEASE_TTL_S;
  return Object.freeze({
    listen: listen === undefined ? undefined : parseAddress('embedded.listen', listen, 0),
    authToken,
    maxLocks: count('maxLocks', 1) ?? DEFAULT_MAX_LOCKS,
    maxWaiters: count('maxWaiters', 0) ?? 0,
    // Other processes are told it on the wire, which has no fractions.
    defaultLeaseMs: (listen === undefined ? leaseS : Math.ceil(leaseS)) * 1000,
  });
}
