import { releaseOf } from './requests.mjs';

const RELEASE = Buffer.from(releaseOf('bench:hot'), 'latin1');

/** One connection to an echo server: repeats work by a timer, then a round trip with the bytes of a release. */
export class PacedEchoLane {
  /** Set by the code that opens and runs the lane. */
  socket;
  done;
  fail;

  /** 0: no timer. */
  workMs = 0;

  #deadline;
  #missing = 0;
  #trips = 0;

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
    this.#missing = RELEASE.length;
    this.socket.write(RELEASE);
  }
}
