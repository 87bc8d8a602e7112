import { ConfigError } from './errors.js';
import { isSecretName, show } from './shown.js';

/** Longest lease and wait: in milliseconds it fits into 31 bits, the longest that Node's timers can wait. */
export const MAX_TIMER_SECONDS = 2_147_483;

export const wrong = (option: string, expected: string, value: unknown): ConfigError =>
  new ConfigError(`option ${option}: expected ${expected}, got ${show(value)}`);

export interface Range {
  readonly min?: number;
  readonly max?: number;
  /** Whether the bounds themselves are refused. */
  readonly open?: boolean;
  readonly integer?: boolean;
}

function describe({ min = -Infinity, max = Infinity, open = false, integer = false }: Range): string {
  const kind = integer ? 'an integer' : 'a number';
  if (min > -Infinity && max < Infinity) return `${kind} between ${min} and ${max}${open ? ', exclusive' : ''}`;
  return `${kind} ${open ? 'above' : 'of at least'} ${min}`;
}

/** A number within the range, or undefined if none was given. @throws ConfigError */
export function checkNumber(option: string, value: unknown, range: Range): number | undefined {
  if (value === undefined) return undefined;
  const { min = -Infinity, max = Infinity, open, integer } = range;
  const fits =
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (!integer || Number.isSafeInteger(value)) &&
    (open ? value > min && value < max : value >= min && value <= max);
  if (!fits) throw wrong(option, describe(range), value);
  return value;
}

export function checkObject(option: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(option, 'an object', value);
  return value as Record<string, unknown>;
}

/** Refuses names that are not options, and those that this version does not support yet. @throws ConfigError */
export function checkNames(
  where: string,
  options: Readonly<Record<string, unknown>>,
  known: readonly string[],
  later: readonly string[] = [],
): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.includes(name)) continue;
    const option = where === '' ? name : `${where}.${name}`;
    const got = isSecretName(option) ? '' : `, got ${show(value)}`;
    if (later.includes(name)) throw new ConfigError(`option ${option} is not supported yet${got}`);
    throw new ConfigError(`option ${option} is unknown${got}; known options: ${known.join(', ')}`);
  }
}
