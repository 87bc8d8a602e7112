import { isSecretName } from '../common/shown.js';

/** One flag of a command, and the environment variables that stand for it. */
export interface FlagSpec {
  readonly name: string;
  readonly type: 'int' | 'bool' | 'string';
  readonly env?: string;
  /** An older variable, still read, with a deprecation warning. */
  readonly alias?: string;
  readonly help: string;
}

export type FlagValue = number | boolean | string;

/** Flags that cannot be parsed. */
export class FlagSyntaxError extends Error {}

/** `-h` or `--help` is among the flags. */
export class HelpRequested extends Error {}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Decimal, 0x, 0o, 0b, a leading 0 for octal, and underscores between digits. */
const INTEGER = /^[+-]?(?:0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/;

function integer(text: string): number | undefined {
  if (!INTEGER.test(text)) return undefined;
  const digits = text.replace(/^[+-]/, '').replaceAll('_', '');
  const value = Number(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return text.startsWith('-') ? -value : value;
}

function parse(spec: FlagSpec, text: string): FlagValue | undefined {
  if (spec.type === 'string') return text;
  if (spec.type === 'int') return integer(text);
  return TRUE.has(text) ? true : FALSE.has(text) ? false : undefined;
}

/** An argument for messages, without the value of a flag that may hold a secret. */
export function withoutSecret(arg: string): string {
  const [name] = arg.split('=', 1);
  return isSecretName(name!) ? name! : arg;
}

/** The name of an unknown flag for messages, without a value appended directly to a known name. */
function nameIn(name: string, specs: readonly FlagSpec[]): string {
  const known = specs.filter((s) => s.type === 'string' && name.startsWith(s.name)).map((s) => s.name);
  const longest = known.sort((a, b) => b.length - a.length)[0];
  return longest === undefined ? name : `${longest}…`;
}

/**
 * Parses flags like Go's flag package (spec 8): one or two dashes, the value after `=` or, unless the flag is boolean,
 * as the next argument; `--` or the first argument that is not a flag ends them.
 * @param isStrict whether what follows is refused; otherwise it is ignored
 * @throws FlagSyntaxError, HelpRequested
 */
export function parseFlags(
  specs: readonly FlagSpec[],
  args: readonly string[],
  isStrict = false,
): Map<string, FlagValue> {
  const values = new Map<string, FlagValue>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--' || arg === '-' || !arg.startsWith('-')) {
      const first = arg === '--' ? args[i + 1] : arg;
      if (isStrict && first !== undefined) throw new FlagSyntaxError(`unexpected argument: ${withoutSecret(first)}`);
      break;
    }
    const [, name, given] = /^--?([^=]*)(?:=([\s\S]*))?$/.exec(arg)!;
    if (!name || name.startsWith('-')) throw new FlagSyntaxError(`bad flag syntax: ${withoutSecret(arg)}`);
    const spec = specs.find((s) => s.name === name);
    if (!spec) {
      if (name === 'help' || name === 'h') throw new HelpRequested('help requested');
      throw new FlagSyntaxError(`flag provided but not defined: -${nameIn(name, specs)}`);
    }
    const text = given ?? (spec.type === 'bool' ? 'true' : args[++i]);
    if (text === undefined) throw new FlagSyntaxError(`flag needs an argument: -${name}`);
    const value = parse(spec, text);
    if (value === undefined) throw new FlagSyntaxError(`invalid value ${JSON.stringify(text)} for flag -${name}`);
    values.set(name, value);
  }
  return values;
}

/** Parses an environment variable: plain decimal, words for booleans; undefined, to be ignored, for others (spec 8). */
function parseEnv(spec: FlagSpec, text: string): FlagValue | undefined {
  if (spec.type === 'string') return text;
  if (spec.type === 'int') return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
  if (/^(1|yes|true)$/i.test(text)) return true;
  return /^(0|no|false)$/i.test(text) ? false : undefined;
}

/** The values of the environment variables of flags; an empty variable counts as unset. */
export function readEnv(
  specs: readonly FlagSpec[],
  env: Readonly<Record<string, string | undefined>>,
  warn: (text: string) => void,
): Map<string, FlagValue> {
  const values = new Map<string, FlagValue>();
  for (const spec of specs) {
    const old = spec.alias !== undefined && !env[spec.env!] && env[spec.alias] ? spec.alias : undefined;
    const text = spec.env === undefined ? undefined : env[old ?? spec.env];
    if (!text) continue;
    if (old) warn(`${old} is deprecated, use ${spec.env}`);
    const value = parseEnv(spec, text);
    if (value !== undefined) values.set(spec.name, value);
  }
  return values;
}

export const usage = (command: string, specs: readonly FlagSpec[]): string =>
  [
    `Usage of ${command}:`,
    ...specs.map((s) => `  -${s.name}${s.type === 'bool' ? '' : ` ${s.type}`}\n    \t${s.help}`),
  ].join('\n');
