import type { Socket } from 'node:net';
import type { AcquireRequest, Grant, Owner, Proof } from '../../backends/backend.js';
import { type Alarm, Alarms, newAlarm } from '../../common/alarms.js';
import { LockError, LockLostError, type LossReason } from '../../common/errors.js';
import { safetyMargin } from '../../common/safety-margin.js';
import { type Clock, type Ms, systemClock } from '../../common/system.js';
import type { LeaseBackend } from '../../locks/lease/lease-host.js';
import type { Lease, LeaseHolder } from '../../locks/lease/lease.js';
import { encodeRequest } from '../../protocol/request-encoder.js';
import { type Destination, dial, ready } from './dial.js';
import { type HoldKeeper, NO_LEASE_MS } from './hold-keeper.js';
import { type HoldEvent, type HoldState, nextHoldState } from './hold-state.js';
import type { Granted } from './replies.js';
import { grantOf, placeOn } from './regrant.js';
import { acquireOn, type FreshGrant, releaseOn, renewOn, type Subject, waitOn } from './requests.js';
import { closedByServer, type SocketLines } from './socket-lines.js';

/** What a session needs to know about its lock. */
export interface HoldPlan {
  readonly subject: Subject;
  readonly to: Destination;
  readonly leaseTtlS: number | undefined;
  readonly socketTimeoutMs: Ms | undefined;
  /** The read timeout of the server. */
  readonly readTimeoutMs: Ms;
}

/** Called in the turn of the event loop in which the event happens, and never after the end of the session. */
export interface HoldObserver {
  held(granted: Granted): void;
  renewed(leaseS: number): void;
  /** The session has ended too. */
  lost(token: string): void;
}

/** How long a release waits for a pending renewal, and then for its own reply. */
const RELEASE_PATIENCE_MS: Ms = 5000;

/** Whether the promise settles within `ms`. */
const settles = (promise: Promise<unknown>, ms: Ms): Promise<boolean> =>
  new Promise((resolve) => {
    const timer = systemClock.setTimer(() => resolve(false), ms);
    const over = (): void => {
      systemClock.clearTimer(timer);
      resolve(true);
    };
    promise.then(over, over);
  });

/** The heartbeats of all queued sessions, on a single timer. */
const beats = new Alarms(systemClock);

/** One connection and the hold, or the place in a queue, that lives and dies with it (spec 4.1). */
export class HoldSession implements Owner, LeaseHolder {
  readonly id = 'connection';
  private state: HoldState = 'new';
  private lines: SocketLines | undefined;
  /** The token of the grant; kept when it is no longer held. */
  grantedToken: string | null = null;
  private leaseS = 0;
  private lease: Lease | undefined;
  private renewing: Promise<unknown> | undefined;
  /** When the latest request that was answered was sent. */
  private lastAcked: Ms = 0;
  private whenLost: ((reason: LossReason, error?: Error) => void) | undefined;
  private readonly clock: Clock = systemClock;
  private readonly beat: Alarm = newAlarm(() => this.ping());

  constructor(
    private readonly plan: HoldPlan,
    private readonly observer: HoldObserver,
    private readonly keeper: HoldKeeper,
  ) {}

  /** The backend of the lease keeper: each grant is owned by its session. */
  static readonly GRANTS: LeaseBackend = Object.freeze({
    renew: (grant: Grant) => (grant.owner as HoldSession).renew(),
    abandon: (grant: Grant) => (grant.owner as HoldSession).end(),
  });

  get connection(): Socket | undefined {
    return this.lines?.socket;
  }

  get isHeld(): boolean {
    return this.state === 'held';
  }

  get isQueued(): boolean {
    return this.state === 'queued';
  }

  /** Connects and waits for the lock. The caller ends the session if this rejects. */
  async acquire(waitS: number): Promise<Granted> {
    this.to('ask');
    const socket = await this.connect();
    const { subject, leaseTtlS } = this.plan;
    this.limitSilence(false);
    return this.blocking(waitS, 'acquire', acquireOn(socket, subject, waitS, leaseTtlS));
  }

  /** Connects and takes a place in the queue; undefined if it was not granted at once. */
  async enqueue(): Promise<Granted | undefined> {
    this.to('ask');
    await this.connect();
    const { subject, leaseTtlS } = this.plan;
    const granted = await placeOn(this.lines!, subject, leaseTtlS);
    this.assertOpen();
    if (granted) return this.hold(granted);
    this.to('queue');
    this.rearm();
    return undefined;
  }

  /** Waits in the place that was taken. */
  async wait(waitS: number): Promise<Granted> {
    this.to('ask');
    beats.cancel(this.beat);
    this.limitSilence(false);
    const { subject, leaseTtlS } = this.plan;
    return this.blocking(waitS, 'wait', waitOn(this.lines!.socket, subject, waitS, leaseTtlS));
  }

  /** Whether the lock is still held. */
  async check(): Promise<boolean> {
    return this.isHeld && (await this.lease!.check());
  }

  /** Releases the hold and closes the connection. Never rejects: closing the connection frees the hold anyway. */
  async release(): Promise<void> {
    const { lines, renewing } = this;
    const wasHeld = this.state === 'held';
    if (this.state !== 'over') this.to('release');
    this.forgetLease();
    try {
      if (!wasHeld || !lines) return;
      const answers = !renewing || (await settles(renewing, RELEASE_PATIENCE_MS));
      const released = releaseOn(lines.socket, this.plan.subject, this.grantedToken!);
      // The reply would follow that of the renewal, which has had enough time.
      if (!answers) return void released.catch(() => undefined);
      lines.expect(RELEASE_PATIENCE_MS, 'release');
      await released;
    } catch {
      // Ignored, as in the original.
    } finally {
      this.end();
    }
  }

  /** Closes the connection; pending requests reject. */
  end(why = 'connection closed'): void {
    if (this.state === 'over') return;
    this.to('end');
    this.forgetLease();
    beats.cancel(this.beat);
    const { lines } = this;
    if (!lines) return;
    lines.stop(why);
    lines.socket.destroy();
  }

  /** Owner */
  provenUntil(): Ms {
    const { readTimeoutMs } = this.plan;
    return this.lastAcked + readTimeoutMs - safetyMargin(readTimeoutMs);
  }

  /** Owner */
  onLost(callback: (reason: LossReason, error?: Error) => void): () => void {
    this.whenLost = callback;
    return () => (this.whenLost = undefined);
  }

  /** LeaseHolder */
  renewed(): void {
    this.observer.renewed(this.leaseS);
  }

  /** LeaseHolder */
  draining(): void {
    // A draining server is noticed only here by its reply to a renewal, which has then failed.
  }

  /** LeaseHolder */
  lost(): void {
    this.end('the lock is lost');
    this.observer.lost(this.grantedToken!);
  }

  private async connect(): Promise<Socket> {
    const { to } = this.plan;
    const lines = dial(to);
    this.lines = lines;
    await ready(lines, to);
    this.assertOpen();
    this.limitSilence(true);
    return lines.socket;
  }

  /** Awaits a request that the server may answer late. */
  private async blocking(waitS: number, what: string, asked: Promise<FreshGrant>): Promise<Granted> {
    const { subject, leaseTtlS } = this.plan;
    const granted = await grantOf(asked, what, this.lines!, subject, waitS, leaseTtlS);
    this.assertOpen();
    this.limitSilence(true);
    return this.hold(granted);
  }

  private hold(granted: FreshGrant): Granted {
    const { plan } = this;
    const { validFrom } = granted;
    const lines = this.lines!;
    if (lines.isOver) throw closedByServer();
    this.to('hold');
    this.grantedToken = granted.token;
    this.leaseS = granted.lease;
    this.lastAcked = validFrom;
    const { kind, key, limit } = plan.subject;
    const req: AcquireRequest = { key, kind, limit, leaseMs: 0, deadline: 0 };
    const server = `${plan.to.host}:${plan.to.port}`;
    const grant: Grant = { req, token: granted.token, server, owner: this, validFrom, leaseMs: this.leaseMs };
    this.lease = this.keeper.keep(grant, 0, 'auto');
    this.lease.handTo(this, 'auto');
    lines.whenEnded = (error) => this.whenLost?.('disconnected', error);
    this.observer.held(granted);
    return granted;
  }

  private get leaseMs(): Ms {
    return this.leaseS > 0 ? this.leaseS * 1000 : NO_LEASE_MS;
  }

  private renew(): Promise<Proof> {
    const renewing = this.askRenewal();
    this.renewing = renewing.catch(() => undefined).finally(() => (this.renewing = undefined));
    return renewing;
  }

  private async askRenewal(): Promise<Proof> {
    const validFrom = this.clock.now();
    const { subject, leaseTtlS } = this.plan;
    try {
      this.leaseS = await renewOn(this.lines!.socket, subject, this.grantedToken!, leaseTtlS);
    } catch (error) {
      // No retry, as in the original.
      throw new LockLostError(subject.key, 'rejected', { cause: error });
    }
    this.lastAcked = validFrom;
    return { validFrom, leaseMs: this.leaseMs };
  }

  /** Without pings the server closes a silent connection, and the place is lost. 1.10 answers `error`, which will do. */
  private ping(): void {
    if (this.state !== 'queued') return;
    this.lines!.ask(encodeRequest({ t: 'ping' })).catch(() => undefined);
    this.rearm();
  }

  private rearm(): void {
    beats.set(this.beat, this.clock.now() + this.keeper.heartbeatMs);
  }

  private to(event: HoldEvent): void {
    this.state = nextHoldState(this.state, event);
  }

  private forgetLease(): void {
    this.lease?.end();
  }

  private assertOpen(): void {
    if (this.state === 'over' || this.state === 'releasing') throw new LockError('connection closed');
  }

  private limitSilence(limited: boolean): void {
    const { socketTimeoutMs } = this.plan;
    if (!socketTimeoutMs || !this.lines) return;
    const { lines } = this;
    const { socket } = lines;
    socket.removeAllListeners('timeout');
    if (!limited) return void socket.setTimeout(0);
    socket.setTimeout(socketTimeoutMs, () => {
      lines.stop(`no data within ${socketTimeoutMs} ms`);
      socket.destroy();
    });
  }
}
