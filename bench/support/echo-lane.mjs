import { acquireOf, releaseOf } from './requests.mjs';

const ACQUIRE = Buffer.from(acquireOf('bench:0000:0000'), 'latin1');
const RELEASE = Buffer.from(releaseOf('bench:0000:0000'), 'latin1');

/** One connection to an echo server: sends the bytes of an acquire and of a release in turn, and awaits each echo. */
export class EchoLane {
  /** Set by the code that opens and runs the lane. */
  socket;
  done;
  fail;

  #deadline;
  #sent = RELEASE;
  #missing = 0;
  #pairs = 0;

  start(deadline) {
    this.#deadline = deadline;
    this.#pairs = 0;
    this.#send(ACQUIRE);
  }

  onBytes(count) {
    this.#missing -= count;
    if (this.#missing > 0) return;
    if (this.#sent === ACQUIRE) return this.#send(RELEASE);
    this.#pairs++;
    if (this.#deadline.passed) this.done(this.#pairs);
    else this.#send(ACQUIRE);
  }

  #send(bytes) {
    this.#sent = bytes;
    this.#missing = bytes.length;
    this.socket.write(bytes);
  }
}
