import { once } from 'node:events';
import { connect } from 'node:net';

const HEAD_END = '\r\n\r\n';
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [A-Za-z -]+$/;

/** @typedef {{ status: number, headers: Map<string, string>, body: string }} Answer */

/** Bytes that are no answer of HTTP/1.1. */
export class Malformed extends Error {}

/** A request as bytes. @param {Record<string, string>} [headers] */
export function requestText(method, target, headers = {}, body = undefined) {
  const fields = { Host: 'daemon', ...headers, ...(body === undefined ? {} : { 'Content-Length': body.length }) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}

/** A connection that sends and receives bytes (latin1), and does not close its half when the server does. */
export class HttpSocket {
  received = '';
  /** The server has closed its half. */
  ended = false;
  closed = false;
  #news = [];
  #turn = Promise.resolve();

  constructor(address) {
    this.socket = connect({ ...address, noDelay: true, allowHalfOpen: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text) => this.#tell(() => (this.received += text)));
    this.socket.on('end', () => this.#tell(() => (this.ended = true)));
    this.socket.on('close', () => this.#tell(() => (this.closed = this.ended = true)));
    this.socket.on('error', () => {});
  }

  static async open(address) {
    const one = new HttpSocket(address);
    await once(one.socket, 'connect');
    return one;
  }

  send(text) {
    this.socket.write(text, 'latin1');
  }

  /** Resolves when there is news, or the time is over. */
  news(withinMs = 30_000) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#news.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /**
   * The next answer; undefined if the server closes the connection before, or the time is over.
   *
   * @returns {Promise<Answer | undefined>}
   */
  async answer(withinMs = 30_000, isHead = false) {
    const end = performance.now() + withinMs;
    for (;;) {
      const answer = this.take(isHead);
      if (answer) return answer;
      const left = end - performance.now();
      if (this.ended || left <= 0) return undefined;
      await this.news(left);
    }
  }

  /** One request after the other. @returns {Promise<Answer>} */
  ask(method, target, headers, body) {
    const asked = this.#turn.then(async () => {
      this.send(requestText(method, target, headers, body));
      const answer = await this.answer();
      if (!answer) throw new Error(`no answer to ${method} ${target.split('?')[0]}`);
      return answer;
    });
    this.#turn = asked.catch(() => undefined);
    return asked;
  }

  /** Takes an answer off what was received, if it is there as a whole. Of an endless stream, only the head. */
  take(isHead = false) {
    const end = this.received.indexOf(HEAD_END);
    if (end < 0) {
      if (this.ended && this.received !== '') throw new Malformed(`half an answer: ${this.received.slice(0, 300)}`);
      return undefined;
    }
    const [line, ...fields] = this.received.slice(0, end).split('\r\n');
    const [, code] = STATUS_LINE.exec(line) ?? [];
    if (code === undefined) throw new Malformed(`no status line: ${line.slice(0, 300)}`);
    const headers = new Map(
      fields.map((field) => {
        const colon = field.indexOf(': ');
        if (colon <= 0) throw new Malformed(`no header: ${field.slice(0, 300)}`);
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 2)];
      }),
    );
    const status = Number(code);
    const rest = this.received.slice(end + HEAD_END.length);
    const found = (body, after) => {
      this.received = after;
      return { status, headers, body };
    };
    const length = headers.get('content-length');
    if (status === 100 || status === 204)
      return length === undefined ? found('', rest) : this.#fail('204 with a length');
    if (isHead || headers.get('content-type') === 'text/event-stream') return found('', rest);
    if (length !== undefined) {
      if (!/^\d+$/.test(length)) return this.#fail(`length ${length}`);
      if (rest.length >= Number(length)) return found(rest.slice(0, Number(length)), rest.slice(Number(length)));
      return this.ended ? this.#fail('a body that is too short') : undefined;
    }
    if (headers.get('transfer-encoding') === 'chunked') return this.#takeChunks(rest, found);
    return this.ended ? found(rest, '') : undefined;
  }

  /** Closes without a trace: by FIN if there is nothing unread. */
  leave() {
    this.socket.destroy();
  }

  reset() {
    this.socket.resetAndDestroy();
  }

  #takeChunks(rest, found) {
    let body = '';
    for (let at = 0; ;) {
      const line = rest.indexOf('\r\n', at);
      if (line < 0) return this.ended ? this.#fail('half a chunk') : undefined;
      const digits = rest.slice(at, line);
      if (!/^[0-9a-f]+$/i.test(digits)) return this.#fail(`chunk of ${digits.slice(0, 30)}`);
      const size = parseInt(digits, 16);
      if (rest.length < line + 4 + size) return this.ended ? this.#fail('half a chunk') : undefined;
      if (size === 0) return found(body, rest.slice(line + 4));
      body += rest.slice(line + 2, line + 2 + size);
      at = line + 4 + size;
    }
  }

  #fail(what) {
    throw new Malformed(what);
  }

  #tell(change) {
    change();
    for (const tell of this.#news.splice(0)) tell();
  }
}
