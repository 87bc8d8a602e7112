import { hostFault, showAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { show } from '../../common/shown.js';
import { DEFAULT_HOST } from '../../protocol/limits.js';

/** Checked and complete. */
export interface ResolvedLockdOptions {
  /** Undefined: there is no such port. */
  readonly lockdPort: number | undefined;
  readonly lockdHost: string;
  readonly lockdDump: boolean;
  readonly lockdRegistry: boolean;
}

type LockdOptions = Partial<ResolvedLockdOptions>;

export const LOCKD_OPTIONS = ['lockdPort', 'lockdHost', 'lockdDump', 'lockdRegistry'] as const;

/** @throws ConfigError naming the option and the value */
export function resolveLockdOptions(
  options: Readonly<Record<string, unknown>>,
  nameOf: (option: string) => string,
): ResolvedLockdOptions {
  const { lockdPort, lockdHost = DEFAULT_HOST, lockdDump = true, lockdRegistry = true } = options as LockdOptions;
  const wrong = (name: string, want: string): ConfigError =>
    new ConfigError(`${nameOf(name)}: expected ${want}, got ${show(options[name])}`);
  const isPort = Number.isInteger(lockdPort) && lockdPort! >= 0 && lockdPort! <= 65_535;
  if (lockdPort !== undefined && !isPort) throw wrong('lockdPort', 'an integer between 0 and 65535');
  const fault = typeof lockdHost === 'string' ? hostFault(lockdHost) : 'it is not a string';
  if (fault !== undefined) {
    const given = showAddress(lockdHost);
    throw new ConfigError(`${nameOf('lockdHost')}: expected a host name or address, got ${given}; ${fault}`);
  }
  if (typeof lockdDump !== 'boolean') throw wrong('lockdDump', 'true or false');
  if (typeof lockdRegistry !== 'boolean') throw wrong('lockdRegistry', 'true or false');
  return { lockdPort, lockdHost, lockdDump, lockdRegistry };
}
