import { fromMillis } from '../log/time.js';

/** What the lab allows for. Nanoseconds. */
export const ALLOWED = {
  /** A holder is told so soon after a connection ended in a way that it could see. */
  cutNs: fromMillis(50),
  /** An answer may be late by a timer's lateness and the turns in which it is handed on. */
  answerNs: fromMillis(150),
  /** A daemon frees what has lapsed on a tick of its sweep; its timer and its log may be late. */
  sweepLateNs: fromMillis(250),
  /** Until the next one has a lock whose holder has died: to notice, to connect again, to take a place. */
  idleNs: fromMillis(1000),
} as const;
