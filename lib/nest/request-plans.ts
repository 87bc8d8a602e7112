import 'reflect-metadata';
import { LOCK_REQUESTS } from './dflockd.constants.js';
import type { LockPlan } from './lock-plan.js';

/** What @LockRequest asks for on a class or a method; the outer locks first. */
export const requestPlansOn = (subject: object): readonly LockPlan[] =>
  (Reflect.getMetadata(LOCK_REQUESTS, subject) as readonly LockPlan[] | undefined) ?? [];

/** Adds one outside those that are there. */
export const addRequestPlan = (subject: object, plan: LockPlan): void =>
  Reflect.defineMetadata(LOCK_REQUESTS, [plan, ...requestPlansOn(subject)], subject);
