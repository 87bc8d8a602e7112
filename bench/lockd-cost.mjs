// What a get and a release over lockd's protocol cost the server. `node bench/lockd-cost.mjs --help` tells how.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { buildFolder } from './support/build.mjs';
import { ratio } from './support/format.mjs';
import { circumstances, headline, line } from './support/report.mjs';
import { Stage } from './support/stage.mjs';
import { medianInterval, spread } from './support/statistics.mjs';

const HELP = `node bench/lockd-cost.mjs [options]

Each connection gets and releases a lock of its own, one request at a time. The server's CPU time, by its own
process.cpuUsage, is divided by that of a bare TCP server that answers the same two lines. The control is a second
server of that kind. The servers take turns within each round.

  --pairs N         pairs in a slice, all connections together (default 20000)
  --rounds N        (default 15)
  --quick           7 rounds of 5,000 pairs
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
const GOAL = 1.25;

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
      Array.from({ length: connections }, (_, n) => Pairs.open(server, `order:${connections}:${n}`)),
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
  const toEcho = (side) => medianInterval(side.us.map((us, round) => us / sides.echo.us[round]));
  return {
    connections,
    us: Object.fromEntries(Object.entries(sides).map(([name, side]) => [name, spread(side.us).median])),
    lockd: toEcho(sides.lockd),
    control: toEcho(sides.control),
  };
}

const shown = ({ median, low, high }) => `${ratio(median)} (${ratio(low)}–${ratio(high)})`;

const report = (figures, rounds, pairs) =>
  [
    '',
    `Medians of ${rounds} interleaved rounds of ${pairs} pairs, with intervals of 95 %.`,
    '',
    line(['connections', 'echo, µs a pair', 'lockd, µs a pair', 'lockd / echo', 'control / echo', 'goal']),
    line(['---:', '---:', '---:', '---:', '---:', '---']),
    ...figures.map((f) =>
      line([
        f.connections,
        f.us.echo.toFixed(1),
        f.us.lockd.toFixed(1),
        shown(f.lockd),
        shown(f.control),
        `≤ ${GOAL}: ${f.lockd.median <= GOAL ? 'met' : 'missed'}`,
      ]),
    ),
    '',
  ].join('\n');

if (options.help) process.stdout.write(HELP);
else {
  const rounds = Number(options.rounds ?? (options.quick ? 7 : 15));
  const pairs = Number(options.pairs ?? (options.quick ? 5000 : 20_000));
  const stage = new Stage(buildFolder(options.build));
  try {
    const where = circumstances();
    process.stdout.write(headline(where));
    const servers = {
      echo: await stage.server('lockd-echo-server.mjs', 'echo'),
      lockd: await stage.server('lockd-server.mjs', 'lockd', stage.moduleUrl('entries/daemon.js')),
      control: await stage.server('lockd-echo-server.mjs', 'control'),
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
