import { type Answer as EngineAnswer, type Command, NO_FENCE } from '../../../core/types.js';
import { type Answer, ERRORS, failure, json } from './answer.js';

const QUEUED = json('{"status":"queued"}');
const TIMEOUT = json('{"status":"timeout"}');
const NO_CONTENT: Answer = Object.freeze({ status: 204, head: [], body: undefined });

const notHeld = (operation: string): Answer => failure(404, 'not_held', operation);

/** The answers to commands that the engine answers `error`, by the name of the operation (spec 9.3). */
const NOT_HELD = {
  acquire: notHeld('acquire'),
  sem_acquire: notHeld('sem_acquire'),
  enqueue: notHeld('enqueue'),
  wait: notHeld('wait'),
  release: notHeld('release'),
  renew: notHeld('renew'),
  listen: notHeld('listen'),
} as const;

const UNEXPECTED = failure(500, 'unexpected_protocol_response');

const seconds = (ms: number): number => Math.floor(ms / 1000);

/** What the engine answered to a command, over HTTP (spec 9.2, 9.3). */
export function commandAnswer(command: Command, answer: EngineAnswer): Answer {
  switch (answer.s) {
    case 'granted':
      return json(`{"status":"ok","token":"${answer.token}","lease_ttl_s":${seconds(answer.leaseMs)}}`);
    case 'acquired':
      return json(`{"status":"acquired","token":"${answer.token}","lease_ttl_s":${seconds(answer.leaseMs)}}`);
    case 'renewed':
      return json(`{"remaining_s":${seconds(answer.leaseMs)}}`);
    case 'delivered':
      return json(`{"delivered":${answer.count}}`);
    case 'ok':
      return NO_CONTENT;
    case 'queued':
      return QUEUED;
    case 'timeout':
      return TIMEOUT;
    case 'error':
      return answer === NO_FENCE ? ERRORS.fencePersistence : notHeldBy(command);
    case 'max_locks':
      return ERRORS.maxLocks;
    case 'max_waiters':
      return ERRORS.maxWaiters;
    case 'limit_mismatch':
      return ERRORS.limitMismatch;
    case 'not_enqueued':
      return ERRORS.notEnqueued;
    case 'already_enqueued':
      return ERRORS.alreadyEnqueued;
    case 'lease_expired':
      return ERRORS.leaseExpired;
    case 'draining':
      return ERRORS.draining;
    default:
      return UNEXPECTED;
  }
}

function notHeldBy(command: Command): Answer {
  if (command.t === 'acquire' && command.kind === 'sem') return NOT_HELD.sem_acquire;
  return command.t === 'unlisten' || command.t === 'signal' ? UNEXPECTED : NOT_HELD[command.t];
}
