import { acquireOf, releaseOf, TOKEN_LENGTH } from './requests.mjs';

const LF = 0x0a;
const O = 0x6f;
const K = 0x6b;
/** Where the token stands in `ok <token> <seconds>`. */
const TOKEN_COLUMN = 3;

/**
 * One connection that acquires and releases keys of its own, each key in turn, with one request of each key under way.
 *
 * It is as lean as it can be made, so that the daemon is what is measured. Replies come in the order of the requests,
 * so the order never changes: all keys are acquired, then all are released. All requests therefore lie in one buffer, written once; only
 * the tokens in the releases are filled in, straight from the bytes received. What is sent next is a piece of it.
 * (A release is written over only after its reply has come: the socket is done with it by then.)
 */
export class PairLane {
  /** Set by whoever opens and runs the lane. */
  socket;
  done;
  fail;

  #count;
  #requests;
  /** Beginning of each request, and the end of the last. */
  #offsets;
  /** Where the token of each key belongs. */
  #tokens;
  #deadline;
  /** The request whose reply is being read, and the column of the line. */
  #reading = 0;
  #column = 0;
  /** The request that is sent next. */
  #next = 0;
  #underWay = 0;
  #pairs = 0;
  #stopping = false;

  /** @param {string[]} keys */
  constructor(keys) {
    const requests = [...keys.map(acquireOf), ...keys.map(releaseOf)];
    this.#count = requests.length;
    this.#requests = Buffer.from(requests.join(''), 'latin1');
    this.#offsets = new Int32Array(requests.length + 1);
    requests.forEach((request, i) => (this.#offsets[i + 1] = this.#offsets[i] + request.length));
    this.#tokens = new Int32Array(keys.length);
    keys.forEach((_, i) => (this.#tokens[i] = this.#offsets[keys.length + i + 1] - TOKEN_LENGTH - 1));
  }

  start(deadline) {
    this.#deadline = deadline;
    this.#pairs = 0;
    this.#stopping = false;
    this.#send(this.#count / 2);
  }

  onBytes(count, bytes) {
    const keys = this.#count / 2;
    let reading = this.#reading;
    let column = this.#column;
    let replies = 0;
    for (let i = 0; i < count; i++) {
      const byte = bytes[i];
      if (byte === LF) {
        if (column < 2) return this.#refused(bytes, count);
        replies++;
        column = 0;
        if (++reading === this.#count) reading = 0;
        continue;
      }
      if (column < 2) {
        if (byte !== (column === 0 ? O : K)) return this.#refused(bytes, count);
      } else if (reading < keys && column >= TOKEN_COLUMN && column < TOKEN_COLUMN + TOKEN_LENGTH) {
        this.#requests[this.#tokens[reading] + column - TOKEN_COLUMN] = byte;
      }
      column++;
    }
    this.#reading = reading;
    this.#column = column;
    this.#underWay -= replies;
    this.#goOn(replies);
  }

  /** Each reply makes room for one request. At the deadline the keys that are held are still released. */
  #goOn(room) {
    if (this.#stopping) {
      if (this.#underWay === 0) this.done(this.#pairs);
      return;
    }
    const ahead = this.#count - this.#next;
    if (room < ahead) return this.#send(room);
    this.#send(ahead);
    this.#pairs += this.#count / 2;
    this.#stopping = this.#deadline.passed;
    if (!this.#stopping) this.#send(room - ahead);
  }

  #send(requests) {
    if (requests === 0) return;
    const from = this.#next;
    const to = from + requests;
    this.#next = to === this.#count ? 0 : to;
    this.#underWay += requests;
    this.socket.write(this.#requests.subarray(this.#offsets[from], this.#offsets[to]));
  }

  #refused(bytes, count) {
    const text = bytes.toString('latin1', 0, Math.min(count, 200));
    this.socket.destroy(new Error(`the daemon has refused a request: ${JSON.stringify(text)}`));
  }
}
