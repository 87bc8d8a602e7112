import type { Lane } from '../client/lane.js';
import type { ServerPool } from '../client/server-pool.js';
import { LockLostError, LockError, LockUnavailableError } from '../common/errors.js';
import type { Ms } from '../common/system.js';
import type { AcquireRequest, Grant, Proof } from './backend.js';
import { refusal } from './refusal.js';

/** A lock that a dflockd server gave to one of our connections. What is said about it travels on that connection. */
export class RemoteGrant implements Grant {
  private owned = true;

  constructor(
    readonly req: AcquireRequest,
    /** The key as bytes. */
    private readonly bytes: string,
    readonly token: string,
    readonly validFrom: Ms,
    readonly leaseMs: Ms,
    private readonly lane: Lane,
    private readonly pool: ServerPool,
  ) {
    lane.adopt();
  }

  get server(): string {
    return this.lane.server;
  }

  get owner(): Lane {
    return this.lane;
  }

  /** The same grant with newer evidence. */
  proven({ validFrom, leaseMs }: Proof): RemoteGrant {
    const newer = new RemoteGrant(this.req, this.bytes, this.token, validFrom, leaseMs, this.lane, this.pool);
    this.disown();
    return newer;
  }

  /** Sent on the owner's connection, so that one answer proves lease and connection. */
  renew(leaseMs: Ms): Promise<Proof> {
    const { req, token, bytes: key } = this;
    return new Promise((resolve, reject) => {
      this.lane.send({ t: 'renew', kind: req.kind, key, token, leaseMs }, (outcome, sentAt) => {
        if (outcome instanceof LockError) reject(outcome);
        else if (outcome.s === 'renewed') resolve({ validFrom: sentAt, leaseMs: outcome.leaseMs || leaseMs });
        else if (outcome.s === 'error') reject(new LockLostError(req.key, 'rejected', { server: this.server }));
        else reject(refusal(outcome, 'renew', { key: req.key, server: this.server }));
      });
    });
  }

  release(): Promise<'released' | 'gone'> {
    // The server freed it when the connection closed.
    if (this.lane.state === 'closed') return Promise.resolve('gone');
    const { req, token, bytes: key } = this;
    return new Promise((resolve, reject) => {
      this.lane.send({ t: 'release', kind: req.kind, key, token }, (outcome) => {
        if (outcome instanceof LockError) return this.releaseOtherwise(resolve, reject);
        this.disown();
        if (outcome.s === 'ok') resolve('released');
        else if (outcome.s === 'error') resolve('gone');
        else reject(refusal(outcome, 'release', { key: req.key, server: this.server }));
      });
    });
  }

  /**
   * Keeps the lock for another `keepMs`, then frees it. The lease is set to that time, so that it ends soon after even if
   * the release gets lost. The server frees what a closed connection owned, so the connection stays until then.
   */
  async keep(keepMs: Ms): Promise<'released' | 'gone'> {
    try {
      const { alarms, clock } = this.pool;
      const end = clock.now() + keepMs;
      await this.renew(keepMs);
      // The wire counts whole seconds: the rest of the last one is given back.
      const ring = (): void => void this.release().catch(() => this.disown());
      alarms.set({ due: 0, slot: -1, ring }, end);
      return 'released';
    } catch (error) {
      this.abandon();
      if (error instanceof LockLostError) return 'gone';
      throw error;
    }
  }

  /** Frees it without looking back. */
  abandon(): void {
    if (this.lane.state === 'closed') return this.disown();
    if (this.lane.role === 'wait') this.hangUp();
    else this.release().catch(() => undefined);
  }

  /** The release was not answered. A connection that ended has released; otherwise any other can, by the token. */
  private releaseOtherwise(resolve: (how: 'released') => void, reject: (error: Error) => void): void {
    if (this.lane.role === 'wait') this.hangUp();
    this.disown();
    if (this.lane.state === 'closed') return resolve('released');
    const { req, token, bytes: key, pool } = this;
    const other = pool.command();
    if (!other)
      return reject(new LockUnavailableError(`${this.server}: no answer to release`, { server: this.server }));
    other.send({ t: 'release', kind: req.kind, key, token }, (outcome) => {
      if (outcome instanceof LockError) reject(outcome);
      // `error`: the first release has arrived after all.
      else resolve('released');
    });
  }

  /** The end of an exclusive connection frees what it owns, whatever is on its way (spec 4.6). */
  private hangUp(): void {
    this.disown();
    this.lane.end(new LockUnavailableError(`${this.server}: given up`, { server: this.server }));
  }

  private disown(): void {
    if (!this.owned) return;
    this.owned = false;
    this.lane.disown();
  }
}
