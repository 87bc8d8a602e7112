import type { Socket } from 'node:net';
import { toBytes } from '../protocol/bytes.js';
import type { Kind, Request } from '../protocol/messages.js';
import { encodeRequest } from '../protocol/request-encoder.js';
import { checkCount, checkLease, checkName, checkWait } from './checks.js';
import { type Granted, type Operation, readCount, readGrant, readOk, readPlace, readRenewal } from './replies.js';
import { SocketLines } from './socket-lines.js';

/** What is asked for: a lock, or a slot of a semaphore. */
export interface Subject {
  readonly kind: Kind;
  readonly key: string;
  /** 1 for a lock. */
  readonly limit: number;
}

type Name = 'acquire' | 'renew' | 'enqueue' | 'wait' | 'release';

const named = (kind: Kind, name: Name): Operation => (kind === 'sem' ? `sem_${name}` : name);

const ask = (sock: Socket, request: Request): Promise<string> => SocketLines.of(sock).ask(encodeRequest(request));

/** Waits up to `waitS` seconds. @throws AcquireTimeoutError */
export async function acquireOn(sock: Socket, subject: Subject, waitS: number, leaseS?: number): Promise<Granted> {
  const { kind, key, limit } = subject;
  checkName('key', key);
  checkWait('acquireTimeoutS', waitS);
  checkCount('limit', limit);
  checkLease(leaseS);
  const leaseMs = (leaseS ?? 0) * 1000;
  const reply = await ask(sock, { t: 'acquire', kind, key: toBytes(key), limit, waitMs: waitS * 1000, leaseMs });
  return readGrant(reply, named(kind, 'acquire'), key);
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

/** Takes a place in the queue; undefined if it is not its turn yet. */
export async function enqueueOn(sock: Socket, subject: Subject, leaseS?: number): Promise<Granted | undefined> {
  const { kind, key, limit } = subject;
  checkName('key', key);
  checkCount('limit', limit);
  checkLease(leaseS);
  const reply = await ask(sock, { t: 'enqueue', kind, key: toBytes(key), limit, leaseMs: (leaseS ?? 0) * 1000 });
  return readPlace(reply, named(kind, 'enqueue'));
}

/** Waits up to `waitS` seconds in the place that `enqueueOn` took. @throws AcquireTimeoutError */
export async function waitOn(sock: Socket, { kind, key }: Omit<Subject, 'limit'>, waitS: number): Promise<Granted> {
  checkName('key', key);
  checkWait('waitTimeoutS', waitS);
  const reply = await ask(sock, { t: 'wait', kind, key: toBytes(key), waitMs: waitS * 1000 });
  return readGrant(reply, named(kind, 'wait'), key);
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
