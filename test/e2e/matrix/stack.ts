import { Scope, type ScopeOptions } from '@nestjs/common';
import { currentLock } from '../../../lib/entries/index.js';

export const POSITIONS = ['above', 'below'] as const;
export type Position = (typeof POSITIONS)[number];

/** What Nest knows of scopes. */
export const SCOPES = {
  singleton: {},
  request: { scope: Scope.REQUEST },
  transient: { scope: Scope.TRANSIENT },
  durable: { scope: Scope.REQUEST, durable: true },
} as const satisfies Record<string, ScopeOptions>;
export type ScopeName = keyof typeof SCOPES;

/** All combinations of positions and some scopes. */
export const variants = (scopes: readonly ScopeName[]): (readonly [Position, ScopeName])[] =>
  POSITIONS.flatMap((position) => scopes.map((scope) => [position, scope] as const));

/** Decorators on one method as in a source, the upper ones first, with the lock above or below them. */
export const stack =
  (position: Position, lock: MethodDecorator, ...others: MethodDecorator[]): MethodDecorator =>
  (target, property, descriptor) => {
    const inOrder = position === 'above' ? [lock, ...others] : [...others, lock];
    for (const decorate of inOrder.reverse()) decorate(target, property, descriptor);
  };

/** What a handler answers: under which lock it runs. */
export const held = (): string => {
  const lock = currentLock();
  return lock?.isHeld ? lock.keys.join() : 'unlocked';
};
