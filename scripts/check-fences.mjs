// Kills a daemon with a fence state file while clients take locks from it, starts it again with its wall clock set back, and
// so on: `npm run test:fences -- --kills 100`. No fence may be seen twice, and none that is not higher than all that were
// seen before the kill. Needs a build; `npm test` leaves it out.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { kills: { type: 'string', default: '5' } } });
const kills = Number(values.kills);
if (!Number.isInteger(kills) || kills < 1)
  throw new Error(`--kills must be a whole number, 1 or more: ${values.kills}`);

const COMMAND = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist/esm/cli/main.js');
const CONNECTIONS = 8;
/** Requests that a connection has sent and not had answered. */
const PIPELINED = 16;
const LEAST_GRANTS = 200;
const MOST_GRANTS = 5_000;
const START_MS = 60_000;
/** By how much more than before the wall clock is wrong, at each start. */
const SET_BACK_MS = 3_600_000;

const folder = mkdtempSync(join(tmpdir(), 'nestjs-dflockd-fences-'));
const file = join(folder, 'fences');

/** A daemon whose wall clock is behind. Resolves with its port. */
async function start(behindMs) {
  const clock = `const now = Date.now; Date.now = () => now() - ${behindMs};`;
  const daemon = spawn(
    process.execPath,
    [
      '--import',
      `data:text/javascript,${encodeURIComponent(clock)}`,
      COMMAND,
      'daemon',
      '--port',
      '0',
      '--max-locks',
      '1000000',
      '--fence-state-file',
      file,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH } },
  );
  process.once('exit', () => daemon.kill('SIGKILL'));
  const ended = once(daemon, 'exit');
  let log = '';
  const port = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the daemon does not listen: ${log}`)), START_MS);
    daemon.stderr.on('data', (chunk) => {
      log += chunk;
      const found = / msg=listening addr=\S*:(\d+)/.exec(log);
      if (!found) return;
      clearTimeout(timer);
      resolve(Number(found[1]));
    });
    void ended.then(() => reject(new Error(`the daemon has ended: ${log}`)));
  });
  return { daemon, port, ended };
}

/** Takes and releases locks until the connection breaks. @param granted gets each fence */
function load(port, id, granted) {
  const socket = connect(port, '127.0.0.1');
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  let taken = 0;
  let rest = '';
  const take = () => socket.write(`l\n${id}-${taken++}\n0\n`);
  /** The key that each outstanding request is about; undefined for a release. */
  const asked = [];
  const next = () => {
    asked.push(`${id}-${taken}`);
    take();
  };
  socket.on('connect', () => {
    for (let i = 0; i < PIPELINED; i++) next();
  });
  socket.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const key = asked.shift();
      if (key === undefined) continue;
      const token = /^ok ([0-9a-f]{32}) \d+$/.exec(line)?.[1];
      if (token === undefined) throw new Error(`not granted: ${line}`);
      granted(BigInt(`0x${token.slice(0, 16)}`));
      asked.push(undefined);
      socket.write(`r\n${key}\n${token}\n`);
      next();
    }
  });
  return closed;
}

process.setMaxListeners(0);
const problems = [];
let highest = 0n;
let total = 0;
try {
  for (let run = 0; run <= kills; run++) {
    const { daemon, port, ended } = await start(run * SET_BACK_MS);
    const enough = randomInt(LEAST_GRANTS, MOST_GRANTS);
    const seen = new Set();
    let top = highest;
    let kill;
    const killed = new Promise((resolve) => (kill = resolve));
    const granted = (fence) => {
      if (fence <= highest) problems.push(`run ${run}: fence ${fence} after ${highest}`);
      if (seen.has(fence)) problems.push(`run ${run}: fence ${fence} twice`);
      seen.add(fence);
      if (fence > top) top = fence;
      if (seen.size === enough) kill();
    };
    const clients = Array.from({ length: CONNECTIONS }, (_, i) => load(port, `${run}-${i}`, granted));
    await Promise.race([killed, ended.then(([code]) => Promise.reject(new Error(`the daemon has ended: ${code}`)))]);
    daemon.kill('SIGKILL');
    await Promise.all([...clients, ended]);
    highest = top;
    total += seen.size;
  }
} finally {
  rmSync(folder, { recursive: true });
}
for (const problem of problems.slice(0, 20)) console.error(problem);
console.log(
  `${kills} kills under load, the clock set back by an hour at each start: ${total.toLocaleString('en-US')} fences, ` +
    `${problems.length} repeated or lower`,
);
process.exitCode = problems.length > 0 ? 1 : 0;
