// What an acquire and a release over HTTP cost the server. `node bench/http-cost.mjs --help` tells how.
import { once } from 'node:events';
import { connect } from 'node:net';
import { COMPARISONS, serverCost } from './support/server-cost.mjs';

const HELP = `node bench/http-cost.mjs [options]

Each keep-alive connection acquires and releases a lock of its own, one request at a time. The CPU time of a bare
node:http server that gives the same answers is divided by the daemon's, each by its own process.cpuUsage: 0.6 means that
the daemon serves 0.6 times as many requests with the same CPU time. The control is a second server of the bare kind. The
servers take turns within each round.
`;

const HEAD_END = '\r\n\r\n';
const LENGTH = /\r\ncontent-length: (\d+)/i;
const TOKEN = /"token":"([^"]+)"/;

/** One keep-alive connection with a session of its own, which acquires and releases its lock again and again. */
class Pairs {
  constructor(socket, name) {
    this.socket = socket;
    this.path = `/v1/locks/${name}`;
    this.text = '';
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.received(text));
  }

  static async open({ host, port }, name) {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect');
    const one = new Pairs(socket, name);
    await new Promise((resolve, reject) => {
      one.failed = reject;
      one.answered = (status, body) => {
        one.sid = JSON.parse(body).session_id;
        resolve();
      };
      socket.write('POST /v1/sessions HTTP/1.1\r\nHost: daemon\r\n\r\n');
    });
    one.answered = one.next;
    return one;
  }

  run(pairs) {
    return new Promise((resolve, reject) => {
      this.left = pairs;
      this.done = resolve;
      this.failed = reject;
      this.isAcquire = true;
      this.post(this.path, '{"acquire_timeout_s":10}');
    });
  }

  post(target, body) {
    this.socket.write(
      `POST ${target} HTTP/1.1\r\nHost: daemon\r\nX-Dflockd-Session: ${this.sid}\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
      'latin1',
    );
  }

  received(text) {
    this.text += text;
    const end = this.text.indexOf(HEAD_END);
    if (end < 0) return;
    const length = Number(LENGTH.exec(this.text.slice(0, end))?.[1] ?? 0);
    const from = end + HEAD_END.length;
    if (this.text.length < from + length) return;
    // One request is under way at a time.
    const status = this.text.slice(9, 12);
    const body = this.text.slice(from);
    this.text = '';
    this.answered(status, body);
  }

  next(status, body) {
    if (status !== (this.isAcquire ? '200' : '204')) return this.failed(new Error(`wrong answer: ${status} ${body}`));
    if (!this.isAcquire && --this.left === 0) return this.done();
    if (this.isAcquire) this.post(`${this.path}/release`, `{"token":"${TOKEN.exec(body)[1]}"}`);
    else this.post(this.path, '{"acquire_timeout_s":10}');
    this.isAcquire = !this.isAcquire;
  }
}

await serverCost({
  help: HELP,
  pairs: 10_000,
  quickPairs: 2000,
  measured: { name: 'daemon', file: 'http-server.mjs' },
  bare: { name: 'bare', file: 'http-echo-server.mjs' },
  comparison: COMPARISONS.throughput(0.6),
  open: Pairs.open,
});
