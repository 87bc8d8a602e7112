import 'reflect-metadata';
import { LOCK_REQUESTS } from '../shared/dflockd.constants.js';
import type { LockPlan } from '../methods/lock-plan.js';
import type { Until } from './request-lock.js';

/** What @LockRequest requests. */
export interface RequestLockPlan extends LockPlan {
  readonly until: Until;
}

/** The locks that @LockRequest requests on a class or a method, the outer ones first. */
export const requestPlansOn = (subject: object): readonly RequestLockPlan[] =>
  (Reflect.getMetadata(LOCK_REQUESTS, subject) as readonly RequestLockPlan[] | undefined) ?? [];

/** Adds a lock outside the existing ones. */
export const addRequestPlan = (subject: object, plan: RequestLockPlan): void =>
  Reflect.defineMetadata(LOCK_REQUESTS, [plan, ...requestPlansOn(subject)], subject);
