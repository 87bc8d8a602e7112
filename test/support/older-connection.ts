import type { Duplex } from 'node:stream';
import { LINE_CAP, LONG_LINE_CAP } from '../../lib/protocol/limits.js';
import type { OlderBehaviour } from './older-behaviour.js';

type ConnectionBehaviour = Pick<OlderBehaviour, 'noPing' | 'noSignals' | 'closeUnnoticed' | 'anyTail' | 'shortAuth'>;

const LF = 0x0a;
const SIGNALS = ['listen', 'unlisten', 'signal'];

/**
 * Between a client and a session of the daemon: passes requests on line by line, keeps back what an older daemon would not
 * read yet, and gives unknown names to commands that it did not know.
 */
export class OlderConnection {
  private text = '';
  private at = 0;
  /** Which of its three lines a request has come to. */
  private line = 0;
  /** Lines that go on together. */
  private out = '';
  private command = '';
  /** Requests without an answer. */
  private outstanding = 0;
  /** A line is over its cap: nothing is interpreted any more. */
  private overlong = false;
  private clientEnded = false;
  private innerEnded = false;

  constructor(
    private readonly client: Duplex,
    private readonly inner: Duplex,
    private readonly behaviour: ConnectionBehaviour,
  ) {
    client.on('data', (chunk: Buffer) => {
      this.text = this.text.slice(this.at) + chunk.toString('latin1');
      this.at = 0;
      this.pass();
    });
    for (const event of ['end', 'close', 'error']) client.on(event, () => this.clientGone());
    client.on('drain', () => inner.resume());
    inner.on('data', (chunk: Buffer) => this.answer(chunk));
    for (const event of ['end', 'close', 'error']) inner.on(event, () => this.innerGone());
  }

  private clientGone(): void {
    this.clientEnded = true;
    // Nobody takes the answers any more.
    if (this.client.destroyed) this.inner.resume();
    this.pass();
  }

  private innerGone(): void {
    if (this.innerEnded) return;
    this.innerEnded = true;
    this.client.end(() => this.client.destroy());
  }

  private answer(chunk: Buffer): void {
    for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, lf + 1)) {
      this.outstanding = Math.max(this.outstanding - 1, 0);
    }
    if (!this.client.destroyed && !this.client.write(chunk)) this.inner.pause();
    this.pass();
  }

  private pass(): void {
    if (this.innerEnded) return;
    while (!this.overlong && !this.isHeldBack && this.passLine());
    if (this.overlong) this.takeRest();
    this.flush();
    if (!this.clientEnded || (this.behaviour.closeUnnoticed && this.outstanding > 0)) return;
    this.takeRest();
    this.flush();
    if (!this.inner.writableEnded) this.inner.end();
  }

  private get isHeldBack(): boolean {
    return this.behaviour.anyTail && this.line === 0 && this.outstanding > 0;
  }

  /** False when no whole line is left. */
  private passLine(): boolean {
    const end = this.text.indexOf('\n', this.at);
    const length = (end < 0 ? this.text.length : end) - this.at;
    if (length > this.cap) {
      this.overlong = true;
      // The daemon behind this one has another cap for it.
      if (this.cap === LINE_CAP && this.isAuth) this.out += ' '.repeat(LONG_LINE_CAP);
      return false;
    }
    if (end < 0) return false;
    const line = this.text.slice(this.at, end + 1);
    this.at = end + 1;
    this.out += this.line === 0 ? this.renamed(line) : line;
    if (this.line === 2) this.outstanding++;
    this.line = (this.line + 1) % 3;
    return true;
  }

  private takeRest(): void {
    this.out += this.text.slice(this.at);
    this.text = '';
    this.at = 0;
  }

  private flush(): void {
    if (this.out !== '') this.inner.write(this.out, 'latin1');
    this.out = '';
  }

  private get isAuth(): boolean {
    return this.line === 2 && this.command === 'auth';
  }

  private get cap(): number {
    return this.isAuth && !this.behaviour.shortAuth ? LONG_LINE_CAP : LINE_CAP;
  }

  private renamed(line: string): string {
    this.command = line.replace(/\r*\n$/, '');
    const { noPing, noSignals } = this.behaviour;
    const unknown = (noPing && this.command === 'ping') || (noSignals && SIGNALS.includes(this.command));
    return unknown ? '?\n' : line;
  }
}
