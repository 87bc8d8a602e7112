import type { Socket } from 'node:net';
import { LeaseExpiredError } from '../../common/errors.js';
import { safetyMargin } from '../../common/safety-margin.js';
import { type Ms, systemClock } from '../../common/system.js';
import { toBytes } from '../../protocol/bytes.js';
import type { Kind, Request } from '../../protocol/messages.js';
import { encodeRequest } from '../../protocol/request-encoder.js';
import { checkCount, checkLease, checkName, checkWait } from './checks.js';
import { BEAT_MS, readWatch } from './read-watch.js';
import { type Granted, type Operation, readCount, readGrant, readOk, readPlace, readRenewal } from './replies.js';
import { ANSWER_MS, SocketLines } from './socket-lines.js';

/** What is requested: a lock, or a slot of a semaphore. */
export interface Subject {
  readonly kind: Kind;
  readonly key: string;
  /** 1 for a lock. */
  readonly limit: number;
}

/** A grant whose lease runs from `validFrom` or later. */
export interface FreshGrant extends Granted {
  readonly validFrom: Ms;
}

type Name = 'acquire' | 'renew' | 'enqueue' | 'wait' | 'release';

const named = (kind: Kind, name: Name): Operation => (kind === 'sem' ? `sem_${name}` : name);

const ask = (sock: Socket, request: Request): Promise<string> => SocketLines.of(sock).ask(encodeRequest(request));

/** Like `ask`; also returns the earliest time at which a lease that the reply grants can have started. */
async function askTimed(sock: Socket, request: Request): Promise<[reply: string, validFrom: Ms]> {
  const sentAt = readWatch.sent();
  let reply: string;
  try {
    reply = await ask(sock, request);
  } catch (error) {
    readWatch.read(sentAt);
    throw error;
  }
  return [reply, readWatch.read(sentAt)];
}

/** Most renewals of a grant that lay unread; their replies may lie unread as well. */
const RENEWALS = 3;

/**
 * A grant that can be returned to the caller. If it may have lain unread for a tenth of its lease, because the process
 * was stalled, it is renewed first: otherwise the holder would rely on it for longer than the server does.
 * @throws LeaseExpiredError if it is no longer held
 */
async function fresh(
  sock: Socket,
  subject: Subject,
  { token, lease }: Granted,
  validFrom: Ms,
  leaseS: number | undefined,
): Promise<FreshGrant> {
  const { kind, key } = subject;
  const request: Request = {
    t: 'renew',
    kind,
    key: toBytes(key),
    token: toBytes(token),
    leaseMs: (leaseS ?? 0) * 1000,
  };
  const age = (): Ms => systemClock.now() - validFrom;
  for (let i = 0; i < RENEWALS && lease > 0 && age() > Math.max(lease * 100, 2 * BEAT_MS); i++) {
    // A renewed lease runs from its request or later.
    validFrom = systemClock.now();
    const asked = ask(sock, request);
    SocketLines.of(sock).expect(ANSWER_MS, 'renew');
    const reply = await asked;
    if (reply.split(' ', 1)[0] !== 'ok') throw new LeaseExpiredError({ key });
    lease = readRenewal(reply, named(kind, 'renew'), leaseS);
  }
  const leaseMs = lease * 1000;
  if (lease > 0 && age() >= leaseMs - safetyMargin(leaseMs)) throw new LeaseExpiredError({ key });
  return { token, lease, validFrom };
}

/** Waits up to `waitS` seconds. @throws AcquireTimeoutError, LeaseExpiredError */
export async function acquireOn(sock: Socket, subject: Subject, waitS: number, leaseS?: number): Promise<FreshGrant> {
  const { kind, key, limit } = subject;
  checkName('key', key);
  checkWait('acquireTimeoutS', waitS);
  checkCount('limit', limit);
  checkLease(leaseS);
  const leaseMs = (leaseS ?? 0) * 1000;
  const request: Request = { t: 'acquire', kind, key: toBytes(key), limit, waitMs: waitS * 1000, leaseMs };
  const [reply, validFrom] = await askTimed(sock, request);
  return fresh(sock, subject, readGrant(reply, named(kind, 'acquire'), key), validFrom, leaseS);
}

/** Returns the new lease in seconds. */
export async function renewOn(
  sock: Socket,
  { kind, key }: Omit<Subject, 'limit'>,
  token: string,
  leaseS?: number,
): Promise<number> {
  checkName('key', key);
  checkName('token', token);
  checkLease(leaseS);
  const leaseMs = (leaseS ?? 0) * 1000;
  const reply = await ask(sock, { t: 'renew', kind, key: toBytes(key), token: toBytes(token), leaseMs });
  return readRenewal(reply, named(kind, 'renew'), leaseS);
}

/** Takes a place in the queue; undefined if it was not granted at once. @throws LeaseExpiredError */
export async function enqueueOn(sock: Socket, subject: Subject, leaseS?: number): Promise<FreshGrant | undefined> {
  const { kind, key, limit } = subject;
  checkName('key', key);
  checkCount('limit', limit);
  checkLease(leaseS);
  const request: Request = { t: 'enqueue', kind, key: toBytes(key), limit, leaseMs: (leaseS ?? 0) * 1000 };
  const [reply, validFrom] = await askTimed(sock, request);
  const granted = readPlace(reply, named(kind, 'enqueue'));
  return granted && fresh(sock, subject, granted, validFrom, leaseS);
}

/**
 * Waits up to `waitS` seconds in the place that `enqueueOn` took.
 * @param leaseS the lease for renewing a grant that lay unread; undefined: the lease that was granted
 * @throws AcquireTimeoutError, LeaseExpiredError
 */
export async function waitOn(sock: Socket, subject: Subject, waitS: number, leaseS?: number): Promise<FreshGrant> {
  const { kind, key } = subject;
  checkName('key', key);
  checkWait('waitTimeoutS', waitS);
  const [reply, validFrom] = await askTimed(sock, { t: 'wait', kind, key: toBytes(key), waitMs: waitS * 1000 });
  const granted = readGrant(reply, named(kind, 'wait'), key);
  return fresh(sock, subject, granted, validFrom, leaseS ?? (granted.lease || undefined));
}

export async function releaseOn(sock: Socket, { kind, key }: Omit<Subject, 'limit'>, token: string): Promise<void> {
  checkName('key', key);
  checkName('token', token);
  const reply = await ask(sock, { t: 'release', kind, key: toBytes(key), token: toBytes(token) });
  readOk(reply, named(kind, 'release'));
}

export async function publishOn(sock: Socket, channel: string, payload: string): Promise<number> {
  checkName('channel', channel);
  checkName('payload', payload);
  return readCount(await ask(sock, { t: 'signal', channel: toBytes(channel), payload: toBytes(payload) }));
}
