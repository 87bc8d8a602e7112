import { ConfigError, LockKeyError } from '../../common/errors.js';
import { delimitersOf, encodeKeyValue } from '../../locks/options/lock-key.js';
import { checkCount, checkKey } from '../../locks/options/keys.js';
import type { LockKey } from '../../locks/options/options.js';
import { located, MESSAGES } from '../shared/dflockd.messages.js';

/** Builds the key, or the keys, of one call. */
export type KeyMaker = (self: unknown, args: readonly unknown[]) => LockKey;
type TemplateMaker = (self: unknown, args: readonly unknown[]) => string;

const PATH = /^\d+(\.[^.{}]+)*$/;

/**
 * Turns the key given to a decorator into a function of the call.
 * @param where decorator and method, for messages
 * @throws ConfigError if it cannot be a key for any call
 */
export function compileKey(where: string, key: unknown): KeyMaker {
  if (typeof key === 'string') return compileTemplate(where, key);
  if (typeof key === 'function') return blaming((self, args) => keyFrom(where, Reflect.apply(key, self, args)));
  if (Array.isArray(key)) return compileList(where, key);
  throw new ConfigError(MESSAGES.badKey(where, key));
}

/** Marks a key error as caused by the arguments of a call. Other errors stay as they are. */
export function blameArguments(error: unknown): unknown {
  // Not an assignment, since the error may be frozen.
  if (error instanceof LockKeyError) Reflect.set(error, 'fromArguments', true);
  return error;
}

function blaming<K>(make: (self: unknown, args: readonly unknown[]) => K): typeof make {
  return (self, args) => {
    try {
      return make(self, args);
    } catch (error) {
      throw blameArguments(error);
    }
  };
}

function keyFrom(where: string, result: unknown): LockKey {
  if (result instanceof Promise) {
    // No request caused this, and nothing else handles the rejection.
    result.catch(() => undefined);
    throw new ConfigError(MESSAGES.asyncKey(where));
  }
  const keys: unknown[] = Array.isArray(result) ? result : [result];
  if (keys.length === 0) throw new LockKeyError(MESSAGES.noKeysResult(where));
  checkCount(keys);
  for (const key of keys) {
    if (typeof key !== 'string' || key === '') throw new LockKeyError(MESSAGES.badKeyResult(where, key));
  }
  return result as LockKey;
}

function compileList(where: string, list: readonly unknown[]): KeyMaker {
  if (list.length === 0) throw new ConfigError(MESSAGES.noKeys(where));
  located(where, () => checkCount(list));
  const makers = list.map((template) => {
    if (typeof template !== 'string') throw new ConfigError(MESSAGES.badTemplate(where, template));
    return compileTemplate(where, template);
  });
  return (self, args) => makers.map((make) => make(self, args));
}

function compileTemplate(where: string, key: string): TemplateMaker {
  if (key === '') throw new ConfigError(MESSAGES.emptyKey(where));
  // Literals are at even indices, the paths between them at odd ones.
  const parts = key.split(/\{([^{}]*)\}/);
  const literals = parts.filter((_, index) => index % 2 === 0);
  const paths = parts.filter((_, index) => index % 2 === 1);
  if (literals.some((literal) => /[{}]/.test(literal))) throw new ConfigError(MESSAGES.unbalancedBrace(where, key));
  const bad = paths.find((path) => !PATH.test(path));
  if (bad !== undefined) throw new ConfigError(MESSAGES.badPath(where, key, bad));
  if (literals.slice(1, -1).includes('')) throw new ConfigError(MESSAGES.touchingPlaceholders(where, key));
  // A literal that no key can contain is refused now, not at the first call.
  literals.filter(Boolean).forEach((literal) => located(where, () => checkKey(literal)));
  if (paths.length === 0) return () => key;

  const delimiters = delimitersOf(literals);
  const fields = paths.map((path) => ({
    steps: path.split('.'),
    name: `${where}: {${path}}`,
    member: (property: string) => `{${path}.${property}}`,
  }));
  return blaming((_, args) =>
    literals.reduce((made, literal, index) => {
      const { steps, name, member } = fields[index - 1]!;
      const value = steps.reduce<any>((at, step) => at?.[step], args);
      if (value === undefined) throw new LockKeyError(MESSAGES.missingValue(name, key));
      return made + encodeKeyValue(value, delimiters, name, member) + literal;
    }),
  );
}
