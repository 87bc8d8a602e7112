import { acquireOf, refusal, releaseOf, TOKEN_LENGTH } from './requests.mjs';

const LF = 0x0a;
const O = 0x6f;
const K = 0x6b;
/** The position of the token in `ok <token> <seconds>`. */
const TOKEN_COLUMN = 3;

/**
 * One connection that acquires and releases its own keys in turn, with one request per key in flight.
 *
 * It is as lean as possible, so that the daemon is what is measured. Replies come in the order of the requests, so the
 * order never changes: all keys are acquired, then all are released. All requests therefore lie in one buffer, written
 * once; only the tokens in the releases are filled in, directly from the bytes received. Each write sends a slice of
 * it. (A release is overwritten only after its reply has arrived: by then, the socket no longer needs it.)
 */
export class PairLane {
  /** Set by the code that opens and runs the lane. */
  socket;
  done;
  fail;

  #count;
  #requests;
  /** The offset of each request, and the end of the last. */
  #offsets;
  /** The offset of the token of each key. */
  #tokens;
  #deadline;
  /** The request whose reply is being read, and the column of the line. */
  #reading = 0;
  #column = 0;
  /** The next request to send. */
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
        if (column < 2) return this.#refused(bytes, i - column, count, replies);
        replies++;
        column = 0;
        if (++reading === this.#count) reading = 0;
        continue;
      }
      if (column < 2) {
        if (byte !== (column === 0 ? O : K)) return this.#refused(bytes, i - column, count, replies);
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

  /** Each reply makes room for one request. After the deadline, held keys are still released. */
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

  /** @param from where the line begins, unless it began in bytes received earlier @param replies since `#underWay` */
  #refused(bytes, from, count, replies) {
    const line = bytes.toString('latin1', Math.max(0, from), Math.min(count, from + 200));
    const request = (this.#reading + replies) % this.#count;
    const asked =
      this.#underWay === replies
        ? undefined
        : this.#requests.toString('latin1', this.#offsets[request], this.#offsets[request + 1]);
    this.socket.destroy(new Error(refusal(line, asked)));
  }
}
