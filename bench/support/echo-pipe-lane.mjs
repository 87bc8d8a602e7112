import { acquireOf, releaseOf } from './requests.mjs';

/**
 * One connection to an echo server with `depth` messages in flight. Like a pipelining client, it sends `depth` acquires
 * and `depth` releases in turn. Each echo makes room for the next message.
 */
export class EchoPipeLane {
  /** Set by the code that opens and runs the lane. */
  socket;
  done;
  fail;

  #depth;
  #messages;
  /** The offset of each message, and the end of the last. */
  #offsets;
  #deadline;
  /** The message being received, and how much of it has arrived. */
  #reading = 0;
  #read = 0;
  #next = 0;
  #underWay = 0;
  #pairs = 0;

  constructor(depth) {
    const key = 'bench:0000:0000';
    const messages = [acquireOf(key), releaseOf(key)].flatMap((message) => Array(depth).fill(message));
    this.#depth = depth;
    this.#messages = Buffer.from(messages.join(''), 'latin1');
    this.#offsets = new Int32Array(messages.length + 1);
    messages.forEach((message, i) => (this.#offsets[i + 1] = this.#offsets[i] + message.length));
  }

  start(deadline) {
    this.#deadline = deadline;
    this.#pairs = 0;
    this.#send(this.#depth);
  }

  onBytes(count) {
    const offsets = this.#offsets;
    let back = 0;
    this.#read += count;
    while (this.#underWay > back) {
      const length = offsets[this.#reading + 1] - offsets[this.#reading];
      if (this.#read < length) break;
      this.#read -= length;
      this.#reading = (this.#reading + 1) % (2 * this.#depth);
      back++;
    }
    this.#underWay -= back;
    this.#goOn(back);
  }

  /** At the deadline, messages in flight are still received. */
  #goOn(room) {
    if (this.#next !== 0) {
      const ahead = Math.min(room, 2 * this.#depth - this.#next);
      this.#send(ahead);
      room -= ahead;
      if (this.#next === 0) this.#pairs += this.#depth;
    }
    if (this.#next !== 0) return;
    if (!this.#deadline.passed) this.#send(room);
    else if (this.#underWay === 0) this.done(this.#pairs);
  }

  #send(messages) {
    if (messages === 0) return;
    const from = this.#next;
    const to = from + messages;
    this.#next = to % (2 * this.#depth);
    this.#underWay += messages;
    this.socket.write(this.#messages.subarray(this.#offsets[from], this.#offsets[to]));
  }
}
