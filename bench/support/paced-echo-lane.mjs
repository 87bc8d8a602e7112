import { releaseOf } from './requests.mjs';

const RELEASE = Buffer.from(releaseOf('bench:hot'), 'latin1');
const PING = Buffer.from('*1\r\n$4\r\nPING\r\n', 'latin1');
const PONG_LENGTH = '+PONG\r\n'.length;

/** What goes to the server, and how many bytes come back. */
const TRIPS = { echo: [RELEASE, RELEASE.length], redis: [PING, PONG_LENGTH] };

/** One connection to an echo server or to Redis: work by a timer, then one round trip, and again. */
export class PacedEchoLane {
  /** Set by whoever opens and runs the lane. */
  socket;
  done;
  fail;

  /** 0: no timer. */
  workMs = 0;

  #bytes;
  #length;
  #deadline;
  #missing = 0;
  #trips = 0;

  /** @param {keyof TRIPS} [server] */
  constructor(server = 'echo') {
    [this.#bytes, this.#length] = TRIPS[server];
  }

  start(deadline) {
    this.#deadline = deadline;
    this.#trips = 0;
    this.#work();
  }

  onBytes(count) {
    this.#missing -= count;
    if (this.#missing > 0) return;
    this.#trips++;
    if (this.#deadline.passed) this.done(this.#trips);
    else this.#work();
  }

  #work() {
    if (this.workMs === 0) this.#send();
    else setTimeout(() => this.#send(), this.workMs);
  }

  #send() {
    this.#missing = this.#length;
    this.socket.write(this.#bytes);
  }
}
