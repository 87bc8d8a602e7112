import type { Observable } from 'rxjs';
import type { AcquireTimeoutError } from '../../common/errors.js';
import type { KeyValue } from '../../locks/options/lock-key.js';
import type { LockTimes, LockKey } from '../../locks/options/options.js';

/** Any method. */
export type AnyMethod = (...args: any[]) => any;

// The paths of a template: 'order:{0.id}' has '0.id'. Each is resolved in the parameter tuple of the method.

/** The paths in the placeholders of a template. */
export type TemplatePaths<S extends string> = S extends `${string}{${infer P}}${infer R}`
  ? P | TemplatePaths<R>
  : never;
export type IsAny<T> = 0 extends 1 & T ? true : false;
/** The type of an element or a property; never if there is none of that name. */
export type PropertyAt<T, K extends string> =
  IsAny<T> extends true
    ? any
    : T extends readonly unknown[]
      ? K extends keyof T
        ? T[K]
        : number extends T['length']
          ? T[number]
          : never
      : K extends keyof T
        ? T[K]
        : never;
/** The type that a path leads to; never if it leads nowhere. */
export type ValueAt<T, P extends string> =
  IsAny<T> extends true ? any : P extends `${infer H}.${infer R}` ? ValueAt<PropertyAt<T, H>, R> : PropertyAt<T, P>;
/** The paths of a template that do not lead to a value that can be part of a key. `A`: the method's parameters. */
export type BadPaths<S extends string, A> =
  TemplatePaths<S> extends infer P
    ? P extends string
      ? IsAny<ValueAt<A, P>> extends true
        ? never
        : [ValueAt<A, P>] extends [never]
          ? P
          : [Exclude<ValueAt<A, P>, undefined | null>] extends [KeyValue]
            ? never
            : P
      : never
    : never;

/**
 * A key template whose placeholders all lead to a string, number, bigint or boolean; otherwise a text that names the
 * others.
 */
export type Template<S extends string, A> = string extends S
  ? S
  : [BadPaths<S, A>] extends [never]
    ? S
    : `{${BadPaths<S, A>}} is not a string, number, bigint or boolean argument`;

/** `'skip'` for a method whose result may be undefined. */
export type SkipOf<M extends AnyMethod> =
  ReturnType<M> extends Promise<infer V> ? (undefined extends V ? 'skip' : void extends V ? 'skip' : never) : never;
/** What a locked method may return. */
export type LockableResult = Promise<any> | Observable<any> | AsyncGenerator<any, any, any>;

/** What can be the key of a method `M` of the class `T`. */
export type KeyOf<T, M extends AnyMethod, S extends string> = [ReturnType<M>] extends [LockableResult]
  ? Template<S, Parameters<M>> | readonly Template<S, Parameters<M>>[] | ((this: T, ...args: Parameters<M>) => LockKey)
  : 'a locked method must return a Promise, an Observable or an AsyncGenerator';

export interface WithLockOptions<M extends AnyMethod = AnyMethod, T = any> extends LockTimes {
  /**
   * What happens when the lock is not free in time (`acquireTimeoutS`):
   * - `'throw'` (default): rejects with the AcquireTimeoutError;
   * - `'skip'`: does not run the method and returns undefined. Without its own `acquireTimeoutS` it does not wait. Only
   *   for methods whose result may be undefined;
   * - a function: its result becomes the method's. Called with the method's `this` and arguments.
   *
   * An unreachable server is not "busy": it always throws.
   */
  onBusy?:
    | 'throw'
    | SkipOf<M>
    | ((busy: AcquireTimeoutError, ...args: Parameters<M>) => ReturnType<M> | Awaited<ReturnType<M>>)
    | undefined;
  /**
   * What happens when the lock is lost before the method has finished: `'throw'` (default): a LockLostError with the
   * result in its `settled`; `'ignore'`: the result, as if nothing had happened. The method's own error takes
   * precedence.
   */
  onLost?: 'throw' | 'ignore' | undefined;
  /**
   * What happens when the caller already runs under this lock, judged by the async context (see `currentLock`):
   * - `'throw'` (default): a NestedLockError at once. With `onBusy: 'skip'` the method is skipped.
   * - `'join'`: if an override calls its decorated `super` (the same object, the same method), the inner call runs
   *   under the lock of the outer one. Anywhere else it acts as `'throw'`. To join another lock, pass its handle:
   *   `DflockdService.withLock(key, { onNested: lock }, fn)`.
   * - `'wait'`: waits until that lock is released; for tasks that the locked code leaves running.
   */
  onNested?: 'throw' | 'join' | 'wait' | undefined;
  /**
   * Returns an AbortSignal that ends the wait: when it aborts, the call leaves the queue and rejects with the signal's
   * reason; `onBusy` is not called. It has no effect once the method runs. Called with the method's `this` and
   * arguments. If it returns undefined, only `acquireTimeoutS` ends the wait. `@LockRequest` needs no signal: its wait
   * ends with the HTTP request.
   */
  signal?: ((this: T, ...args: Parameters<M>) => AbortSignal | undefined) | undefined;
  /**
   * Makes the key a semaphore: how many calls may hold it at once. A semaphore does not exclude a lock of the same name.
   * Default: none; the key is a lock.
   */
  limit?: number | undefined;
  /**
   * Minimum time, in seconds after the acquire, for which the lock is kept, in the background if the method settles
   * earlier: the caller gets its result at once. Default 0.
   */
  minHoldS?: number | undefined;
  /**
   * Seconds after the grant at which the method loses its lock (reason `overdue`): above 0, at least `minHoldS`.
   * `currentLock()?.signal` aborts, the method rejects with a LockLostError once it settles, and the lock is free a
   * second later, even if the method still runs. Default: the module's `maxHoldS`.
   */
  maxHoldS?: number | undefined;
  /** The `instance` given to `forRoot`. Default: the one without a name. */
  instance?: string | undefined;
  /**
   * Required for, and only for, a method that returns an Observable, such as an `@Sse` handler: each subscription
   * acquires the lock, calls the method, and holds the lock until complete, error or unsubscribe; if the lock is lost,
   * the stream errors. Async generators and Node streams are recognised without it.
   */
  returns?: 'observable' | undefined;
}

/** A method that returns an Observable, or a Promise of one, must declare it. */
export type WithLockArgs<M extends AnyMethod, T = any> =
  IsAny<Awaited<ReturnType<M>>> extends true
    ? [options?: WithLockOptions<M, T>]
    : [Awaited<ReturnType<M>>] extends [never]
      ? [options?: WithLockOptions<M, T>]
      : [Awaited<ReturnType<M>>] extends [Observable<any>]
        ? [options: WithLockOptions<M, T> & { returns: 'observable' }]
        : [options?: WithLockOptions<M, T>];

/** Infers the method it is applied to, and is still a MethodDecorator for `applyDecorators`. */
export type LockDecorator<T, M> = MethodDecorator &
  ((target: T, property: string | symbol, descriptor: TypedPropertyDescriptor<M>) => void);
