// A benchmark of what requests cost a server over one protocol: CPU time beside that of a bare server.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { buildFolder } from './build.mjs';
import { ratio, whole } from './format.mjs';
import { circumstances, headline, line } from './report.mjs';
import { Stage } from './stage.mjs';
import { medianInterval, spread } from './statistics.mjs';

const CONNECTIONS = [1, 10, 100];
const ROUNDS = 15;
const QUICK_ROUNDS = 7;

const optionsOf = ({ pairs, quickPairs }) => `
  --pairs N         pairs in a slice, all connections together (default ${pairs})
  --rounds N        (default ${ROUNDS})
  --quick           ${QUICK_ROUNDS} rounds of ${whole(quickPairs)} pairs
  --json FILE       the figures as JSON
  --build FOLDER    another ESM build than dist/esm
  --help
`;

/** CPU time of the server for each pair, in microseconds. */
async function slice({ server, clients }, pairs) {
  const each = Math.ceil(pairs / clients.length);
  const before = await server.cpu();
  await Promise.all(clients.map((client) => client.run(each)));
  return (((await server.cpu()) - before) * 1000) / (each * clients.length);
}

/** One server after the other in each round, so that all meet the same machine. */
async function measure({ measured, bare, compare, open }, servers, connections, rounds, pairs) {
  const sides = {};
  for (const [name, server] of Object.entries(servers)) {
    const clients = await Promise.all(
      Array.from({ length: connections }, (_, n) => open(server, `order-${connections}-${n}`)),
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
  const toBare = ({ us }) => medianInterval(us.map((own, round) => compare(own, sides[bare].us[round])));
  return {
    connections,
    us: Object.fromEntries(Object.entries(sides).map(([name, side]) => [name, spread(side.us).median])),
    [measured]: toBare(sides[measured]),
    control: toBare(sides.control),
  };
}

const shown = ({ median, low, high }) => `${ratio(median)} (${ratio(low)}–${ratio(high)})`;

const report = ({ measured, bare, ratioOf, goal, isMet }, figures, rounds, pairs) =>
  [
    '',
    `Medians of ${rounds} interleaved rounds of ${pairs} pairs, with intervals of 95 %.`,
    '',
    line([
      'connections',
      `${bare}, µs a pair`,
      `${measured}, µs a pair`,
      ratioOf(measured, bare),
      ratioOf('control', bare),
      'goal',
    ]),
    line(['---:', '---:', '---:', '---:', '---:', '---']),
    ...figures.map((f) =>
      line([
        f.connections,
        f.us[bare].toFixed(1),
        f.us[measured].toFixed(1),
        shown(f[measured]),
        shown(f.control),
        `${goal}: ${isMet(f[measured].median) ? 'met' : 'missed'}`,
      ]),
    ),
    '',
  ].join('\n');

/** How the CPU times of the measured server and of the bare one are compared. */
export const COMPARISONS = {
  /** How many times as much the measured server uses: at most so many. */
  cost: (most) => ({
    compare: (own, bare) => own / bare,
    ratioOf: (own, bare) => `${own} / ${bare}`,
    goal: `≤ ${most}`,
    isMet: (median) => median <= most,
  }),
  /** How many times as many requests it serves with the same CPU time: at least so many. */
  throughput: (least) => ({
    compare: (own, bare) => bare / own,
    ratioOf: (own, bare) => `${bare} / ${own}`,
    goal: `≥ ${least}`,
    isMet: (median) => median >= least,
  }),
};

/**
 * Runs the benchmark with the options of the command line, and prints its report.
 *
 * @param benchmark
 *   `help`: what `--help` says before the options; `pairs` and `quickPairs`: in a slice; `measured` and `bare`: the name
 *   and the file of a process; `comparison`: one of `COMPARISONS`; `open`: opens a connection, whose `run` makes pairs
 *   one after the other
 */
export async function serverCost({ help, pairs: usual, quickPairs, measured, bare, comparison, open }) {
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
  if (options.help) return void process.stdout.write(help + optionsOf({ pairs: usual, quickPairs }));
  const rounds = Number(options.rounds ?? (options.quick ? QUICK_ROUNDS : ROUNDS));
  const pairs = Number(options.pairs ?? (options.quick ? quickPairs : usual));
  const setting = { measured: measured.name, bare: bare.name, ...comparison, open };
  const stage = new Stage(buildFolder(options.build));
  try {
    const where = circumstances();
    process.stdout.write(headline(where));
    const servers = {
      [bare.name]: await stage.server(bare.file, bare.name),
      [measured.name]: await stage.server(measured.file, measured.name, stage.moduleUrl('entries/daemon.js')),
      control: await stage.server(bare.file, 'control'),
    };
    const figures = [];
    for (const connections of CONNECTIONS) {
      figures.push(await measure(setting, servers, connections, rounds, pairs));
    }
    process.stdout.write(report(setting, figures, rounds, pairs));
    if (options.json)
      writeFileSync(options.json, JSON.stringify({ ...where, rounds, pairs, figures }, undefined, 2) + '\n');
  } finally {
    await stage.clear();
  }
}
