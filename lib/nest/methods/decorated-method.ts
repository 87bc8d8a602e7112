import { types } from 'node:util';
import { ConfigError } from '../../common/errors.js';
import { MESSAGES } from '../shared/dflockd.messages.js';

export type AnyFunction = (...args: any[]) => any;

export interface DecoratedMethod {
  /** `OrderService.pay`, as shown in errors. */
  readonly name: string;
  readonly original: AnyFunction;
  /** Whether it is an async generator. */
  readonly generates: boolean;
}

/**
 * Refuses, when the class is defined, every place where a method decorator could not work.
 * @param decorator its name in the source, for the message
 * @throws ConfigError
 */
export function methodToWrap(
  decorator: string,
  target: object,
  property: string | symbol | DecoratorContext | undefined,
  descriptor: PropertyDescriptor | undefined,
): DecoratedMethod {
  // A decorator of the ECMAScript proposal receives (value, context) instead of (prototype, name, descriptor).
  if (typeof property === 'object' || property === undefined) {
    throw new ConfigError(MESSAGES.standardDecorator(decorator));
  }
  if (typeof target === 'function') {
    throw new ConfigError(MESSAGES.staticMethod(decorator, `${target.name}.${String(property)}`));
  }
  const name = `${target.constructor.name}.${String(property)}`;
  const original: unknown = descriptor?.value;
  if (typeof original !== 'function') throw new ConfigError(MESSAGES.notAMethod(decorator, name));
  const generates = types.isGeneratorFunction(original);
  if (generates && !types.isAsyncFunction(original)) throw new ConfigError(MESSAGES.generator(decorator, name));
  return { name, original: original as AnyFunction, generates };
}
