import type { Socket } from 'node:net';
import type { Ms } from '../../common/system.js';
import { LineDecoder } from '../../protocol/lockd/line-decoder.js';
import { LOCKD_LINE_CAP } from '../../protocol/lockd/limits.js';
import { ContainedSession } from '../fairness/contained-session.js';
import { REQUESTS_AT_ONCE, UNREAD_BYTES } from '../fairness/request-scheduler.js';
import type { CommandDesk } from './command-desk.js';
import type { Listing } from './listing.js';
import type { LockdHost } from './lockd-host.js';
import type { LockdState } from './lockd-state.js';
import type { Member } from './member.js';

/** While this many bytes wait for a peer, no more of its lines are executed. */
const FULL = 256 * 1024;
/** A listing is continued by about this much at a time. */
const PIECE = 16 * 1024;
/** How long a peer may take to read the last replies if there is no write timeout. */
const LAST_LINES_MS: Ms = 5_000;
/** After this much silence, the kernel asks whether the peer is still there: only that ends the locks of a lost host. */
const KEEP_ALIVE_MS: Ms = 60_000;

/** One client: lines in strict order, each answered at once. */
export class LockdSession extends ContainedSession<LockdHost> {
  private readonly member: Member;
  private readonly lines = new LineDecoder(LOCKD_LINE_CAP);
  private out = '';
  /** Bytes handed to the socket so far, and how many of them must be gone by `due`. */
  private handed = 0;
  private mark = 0;
  /** The reply being written in pieces; lines after it wait. */
  private listing: Listing | undefined;
  /** The peer does not read what it has been sent. */
  private isChoked = false;
  /** Whether its replies are written at the end of this turn. */
  private talks = false;
  /** The peer has closed its side and will send no more. */
  private ended = false;
  /** The locks are released; the last replies are being sent. */
  private isLeaving = false;
  private isClosed = false;

  constructor(
    socket: Socket,
    host: LockdHost,
    private readonly state: LockdState,
    private readonly desk: CommandDesk,
    peer: string,
  ) {
    super(socket, host, peer);
    this.member = state.join(peer, `${peer}:${socket.remotePort}`);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  /** The server drains: a client that holds nothing has no reason to stay. */
  drain(): void {
    if (!this.isStuck && !this.member.holdsAnything) this.contain(() => this.leave());
  }

  drop(): void {
    if (this.isClosed) return;
    this.release();
    this.isClosed = true;
    this.host.alarms.cancel(this);
    this.listing?.return();
    this.listing = undefined;
    this.stream.destroy();
    this.host.driver.touch();
  }

  private get isOver(): boolean {
    return this.isClosed || this.isLeaving;
  }

  protected onData(chunk: Buffer): void {
    if (this.isOver) return;
    const { driver, replyBatch } = this.host;
    this.lines.push(chunk.toString('latin1'));
    this.execute(driver.clock.now());
    // Sessions that waited for what this one has just released come first.
    driver.resumeWoken();
    if (this.isOver) return driver.touch();
    if (this.isStuck && this.lines.unread >= UNREAD_BYTES) this.stream.pause();
    if (this.talks || this.continued) return;
    this.talks = replyBatch.defers(this);
    if (this.talks) return;
    this.settle();
    driver.touch();
  }

  protected onEnd(): void {
    this.ended = true;
    if (this.isOver) return;
    this.execute(this.host.driver.clock.now());
    if (!this.isOver && !this.continued) this.settle();
    this.host.driver.touch();
  }

  protected onDrain(): void {
    if (!this.isChoked || this.isOver) return;
    this.isChoked = false;
    this.joinQueue();
  }

  protected onTurnEnd(): void {
    this.talks = false;
    this.settle();
  }

  protected onSlice(now: Ms, sliceMs: Ms): void {
    this.execute(now, sliceMs);
    if (!this.continued) this.settle();
  }

  /** Whether lines that have been received wait. */
  private get isStuck(): boolean {
    return this.isChoked || this.continued || this.listing !== undefined;
  }

  /** Executes what can be executed; writes only if much waits to be written. */
  private execute(now: Ms, sliceMs?: Ms): void {
    let weight = 0;
    while (!this.isOver && !this.isChoked && !this.continued) {
      if (this.listing) {
        if (!this.list()) weight += REQUESTS_AT_ONCE;
      } else {
        const line = this.lines.next() ?? (this.ended ? this.lines.last() : undefined);
        if (line === undefined) return this.atEnd();
        if (line !== '') weight += this.take(line, now);
      }
      if (this.out.length >= FULL) this.write();
      if (weight < REQUESTS_AT_ONCE) continue;
      weight = 0;
      if (!this.isOver && !this.isChoked && this.host.scheduler.isOver(now, sliceMs)) this.joinQueue();
    }
  }

  /** All lines are executed: what happens next depends on the peer. */
  private atEnd(): void {
    if (this.lines.isOverlong) {
      this.host.log('warn', 'a line of lockd is too long: connection closed', { peer: this.peer });
      this.leave();
    } else if (this.ended || (this.state.isDraining && !this.member.holdsAnything)) this.leave();
  }

  /** Returns the weight of the line. */
  private take(line: string, now: Ms): number {
    const weight = this.desk.weightOf(line);
    const reply = this.desk.execute(this.member, line, now);
    if (typeof reply === 'string') this.out += reply;
    else this.listing = reply;
    return weight;
  }

  /** Continues the listing by one piece; returns whether it is complete. */
  private list(): boolean {
    let size = 0;
    while (size < PIECE) {
      const { done, value } = this.listing!.next();
      if (done) {
        this.listing = undefined;
        return true;
      }
      this.out += value;
      size += value.length;
    }
    return false;
  }

  private settle(): void {
    if (this.isClosed) return;
    this.write();
    if (!this.isOver && !this.isStuck && this.stream.isPaused()) this.stream.resume();
  }

  private write(): void {
    const { stream, out } = this;
    if (out !== '') {
      this.out = '';
      this.handed += out.length;
      if (stream.writable) stream.write(out, 'latin1');
    }
    if (stream.writableLength === 0) return;
    this.watch(this.host.writeTimeoutMs);
    if (stream.writableLength < FULL || this.isOver) return;
    this.isChoked = true;
    stream.pause();
  }

  /** The peer must read what waits now within this time; 0 = no limit. */
  private watch(withinMs: Ms): void {
    if (withinMs === 0 || this.slot >= 0) return;
    this.mark = this.handed;
    this.host.alarms.set(this, this.host.driver.clock.now() + withinMs);
  }

  protected judge(): void {
    if (this.isClosed) return;
    const { writableLength } = this.stream;
    if (this.isLeaving || this.handed - writableLength < this.mark) return this.cutOff();
    if (writableLength > 0) this.watch(this.host.writeTimeoutMs);
  }

  /** Releases the locks at once, sends the replies that wait, and closes the connection. */
  private leave(): void {
    if (this.isOver) return;
    this.release();
    this.isLeaving = true;
    this.write();
    const { stream, host } = this;
    // Nothing from the peer is unread then; unread data would turn the close into a reset.
    if (this.ended && stream.writableLength === 0) return this.drop();
    stream.end(() => this.drop());
    host.alarms.cancel(this);
    this.watch(host.writeTimeoutMs || LAST_LINES_MS);
  }

  private release(): void {
    if (!this.member.isGone) this.state.leave(this.member);
  }
}
