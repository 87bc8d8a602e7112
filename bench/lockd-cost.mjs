// What a get and a release over lockd's protocol cost the server. `node bench/lockd-cost.mjs --help` tells how.
import { once } from 'node:events';
import { connect } from 'node:net';
import { COMPARISONS, serverCost } from './support/server-cost.mjs';

const HELP = `node bench/lockd-cost.mjs [options]

Each connection gets and releases a lock of its own, one request at a time. The server's CPU time, by its own
process.cpuUsage, is divided by that of a bare TCP server that answers the same two lines. The control is a second
server of that kind. The servers take turns within each round.
`;

/** One connection that gets and releases its lock again and again. */
class Pairs {
  constructor(socket, name) {
    this.socket = socket;
    this.get = `g ${name}\n`;
    this.release = `r ${name}\n`;
    this.got = Buffer.from(`1 Lock Get Success: ${name}\n`);
    this.released = Buffer.from(`1 Lock Release Success: ${name}\n`);
    socket.on('data', (chunk) => this.answered(chunk));
  }

  static async open({ host, port }, name) {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect');
    return new Pairs(socket, name);
  }

  run(pairs) {
    return new Promise((resolve, reject) => {
      this.left = pairs;
      this.done = resolve;
      this.failed = reject;
      this.isGet = true;
      this.socket.write(this.get);
    });
  }

  answered(chunk) {
    const expected = this.isGet ? this.got : this.released;
    // Short lines come whole: one is under way at a time.
    if (!chunk.equals(expected)) return this.failed(new Error(`wrong answer: ${chunk}`));
    if (!this.isGet && --this.left === 0) return this.done();
    this.isGet = !this.isGet;
    this.socket.write(this.isGet ? this.get : this.release);
  }
}

await serverCost({
  help: HELP,
  pairs: 20_000,
  quickPairs: 5000,
  measured: { name: 'lockd', file: 'lockd-server.mjs' },
  bare: { name: 'echo', file: 'lockd-echo-server.mjs' },
  comparison: COMPARISONS.cost(1.25),
  open: Pairs.open,
});
