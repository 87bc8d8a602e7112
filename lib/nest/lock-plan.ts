import { ConfigError } from '../common/errors.js';
import type { AcquireTimeoutError } from '../common/errors.js';
import { DEFAULT_INSTANCE } from './dflockd.constants.js';
import { MESSAGES } from './dflockd.messages.js';
import { compileKey, type KeyMaker } from './key-template.js';

/** What a decorator asks for, checked and complete: nothing in it is wrong or missing any more. */
export interface LockPlan {
  /** `OrderService.pay`, as shown in errors. */
  readonly method: string;
  readonly instance: string;
  readonly key: KeyMaker;
  readonly onBusy: 'throw' | 'skip' | ((busy: AcquireTimeoutError, ...args: unknown[]) => unknown);
  readonly onLost: 'throw' | 'ignore';
  /** Those that the decorator names; the module's defaults stand for the rest. */
  readonly acquire: { readonly acquireTimeoutS?: number; readonly leaseTtlS?: number; readonly limit?: number };
  readonly minHoldS: number;
}

type Options = Readonly<Record<string, unknown>>;
type Check = readonly [expected: string, (value: unknown) => boolean];

const finite = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const seconds: Check = ['a number of seconds, 0 or more', (v) => finite(v) && v >= 0];

const CHECKS: Readonly<Record<string, Check>> = {
  acquireTimeoutS: seconds,
  leaseTtlS: ['a number of seconds above 0', (v) => finite(v) && v > 0],
  limit: ['a whole number, 1 or more', (v) => Number.isSafeInteger(v) && (v as number) >= 1],
  minHoldS: seconds,
  instance: ['a name', (v) => typeof v === 'string' && v !== ''],
  onBusy: ["'throw', 'skip' or a function", (v) => v === 'throw' || v === 'skip' || typeof v === 'function'],
  onLost: ["'throw' or 'ignore'", (v) => v === 'throw' || v === 'ignore'],
};

/** Options of a later version: refused by name, never ignored. */
const NOT_YET: readonly string[] = ['onNested', 'returns'];

/** @throws ConfigError naming the method, the option and the value */
export function planOf(decorator: string, method: string, key: unknown, options: unknown = {}): LockPlan {
  const where = `${decorator} on ${method}`;
  const given = check(where, options);
  const { acquireTimeoutS, leaseTtlS, limit } = given;
  const onBusy = (given.onBusy ?? 'throw') as LockPlan['onBusy'];
  return {
    method,
    instance: (given.instance ?? DEFAULT_INSTANCE) as string,
    key: compileKey(where, key),
    onBusy,
    onLost: (given.onLost ?? 'throw') as LockPlan['onLost'],
    acquire: {
      // Who skips does not wait, unless told to.
      ...defined('acquireTimeoutS', acquireTimeoutS ?? (onBusy === 'skip' ? 0 : undefined)),
      ...defined('leaseTtlS', leaseTtlS),
      ...defined('limit', limit),
    },
    minHoldS: (given.minHoldS ?? 0) as number,
  };
}

function check(where: string, options: unknown): Options {
  if (typeof options !== 'object' || options === null) {
    throw new ConfigError(MESSAGES.badOption(where, 'options', options, 'an object'));
  }
  for (const [option, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (NOT_YET.includes(option)) throw new ConfigError(MESSAGES.optionNotYet(where, option, value));
    const known = CHECKS[option];
    if (!known) throw new ConfigError(MESSAGES.unknownOption(where, option, Object.keys(CHECKS)));
    if (!known[1](value)) throw new ConfigError(MESSAGES.badOption(where, option, value, known[0]));
  }
  return options as Options;
}

const defined = (name: string, value: unknown) => (value === undefined ? {} : { [name]: value });
