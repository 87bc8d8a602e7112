// What an acquire and a release over HTTP cost the server. `node bench/http-cost.mjs --help` tells how.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { buildFolder } from './support/build.mjs';
import { ratio } from './support/format.mjs';
import { circumstances, headline, line } from './support/report.mjs';
import { Stage } from './support/stage.mjs';
import { medianInterval, spread } from './support/statistics.mjs';

const HELP = `node bench/http-cost.mjs [options]

Each keep-alive connection acquires and releases a lock of its own, one request at a time. The CPU time of a bare
node:http server that gives the same answers is divided by the daemon's, each by its own process.cpuUsage: 0.6 means that
the daemon serves 0.6 times as many requests with the same CPU time. The control is a second server of the bare kind. The
servers take turns within each round.

  --pairs N         pairs in a slice, all connections together (default 10000)
  --rounds N        (default 15)
  --quick           7 rounds of 2,000 pairs
  --json FILE       the figures as JSON
  --build FOLDER    another ESM build than dist/esm
  --help
`;

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    build: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const CONNECTIONS = [1, 10, 100];
const GOAL = 0.6;

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

/** CPU time of the server for each pair, in microseconds. */
async function slice({ server, clients }, pairs) {
  const each = Math.ceil(pairs / clients.length);
  const before = await server.cpu();
  await Promise.all(clients.map((client) => client.run(each)));
  return (((await server.cpu()) - before) * 1000) / (each * clients.length);
}

async function measure(servers, connections, rounds, pairs) {
  const sides = {};
  for (const [name, server] of Object.entries(servers)) {
    const clients = await Promise.all(
      Array.from({ length: connections }, (_, n) => Pairs.open(server, `order-${connections}-${n}`)),
    );
    sides[name] = { server, clients, us: [] };
  }
  const all = Object.values(sides);
  for (const side of all) await slice(side, pairs);
  for (let round = 0; round < rounds; round++) {
    // Each is the first as often as the others.
    for (let i = 0; i < all.length; i++) {
      const side = all[(i + round) % all.length];
      side.us.push(await slice(side, pairs));
    }
  }
  for (const { clients } of all) for (const { socket } of clients) socket.destroy();
  const toBare = (side) => medianInterval(side.us.map((us, round) => sides.bare.us[round] / us));
  return {
    connections,
    us: Object.fromEntries(Object.entries(sides).map(([name, side]) => [name, spread(side.us).median])),
    daemon: toBare(sides.daemon),
    control: toBare(sides.control),
  };
}

const shown = ({ median, low, high }) => `${ratio(median)} (${ratio(low)}–${ratio(high)})`;

const report = (figures, rounds, pairs) =>
  [
    '',
    `Medians of ${rounds} interleaved rounds of ${pairs} pairs, with intervals of 95 %.`,
    '',
    line(['connections', 'bare, µs a pair', 'daemon, µs a pair', 'bare / daemon', 'bare / control', 'goal']),
    line(['---:', '---:', '---:', '---:', '---:', '---']),
    ...figures.map((f) =>
      line([
        f.connections,
        f.us.bare.toFixed(1),
        f.us.daemon.toFixed(1),
        shown(f.daemon),
        shown(f.control),
        `≥ ${GOAL}: ${f.daemon.median >= GOAL ? 'met' : 'missed'}`,
      ]),
    ),
    '',
  ].join('\n');

if (options.help) process.stdout.write(HELP);
else {
  const rounds = Number(options.rounds ?? (options.quick ? 7 : 15));
  const pairs = Number(options.pairs ?? (options.quick ? 2000 : 10_000));
  const stage = new Stage(buildFolder(options.build));
  try {
    const where = circumstances();
    process.stdout.write(headline(where));
    const servers = {
      bare: await stage.server('http-echo-server.mjs', 'bare'),
      daemon: await stage.server('http-server.mjs', 'daemon', stage.moduleUrl('entries/daemon.js')),
      control: await stage.server('http-echo-server.mjs', 'control'),
    };
    const figures = [];
    for (const connections of CONNECTIONS) figures.push(await measure(servers, connections, rounds, pairs));
    process.stdout.write(report(figures, rounds, pairs));
    if (options.json)
      writeFileSync(options.json, JSON.stringify({ ...where, rounds, pairs, figures }, undefined, 2) + '\n');
  } finally {
    await stage.clear();
  }
}
