// A Postgres server of its own for samples and benchmarks: on a free port of 127.0.0.1, in a temporary folder, with
// everybody as superuser.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../sample/01-quick-start/tour/processes.mjs';

const HOST = '127.0.0.1';
const PATIENCE_MS = 20_000;

/** Postgres refuses to run as root: then it runs as nobody. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** Neither PGHOST and its like, nor the language of who runs it. */
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name))),
  ...{ LC_ALL: 'C', TZ: 'UTC' },
};

/**
 * @param {string} bin the folder with `postgres` and `initdb` @param {Record<string, string | number>} [settings] lines of
 *   postgresql.conf
 */
export async function runPostgres(bin, settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'postgres-'));
  chmodSync(folder, 0o755);
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  const data = join(folder, 'data');
  const port = await freePort();
  let server;
  const stop = async () => {
    if (server?.child.exitCode === null) server.child.kill('SIGINT');
    await server?.ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const as = ['-U', 'postgres', '-A', 'trust', '--locale=C', '--encoding=UTF8', '--no-sync'];
    execFileSync(join(bin, 'initdb'), ['-D', data, ...as], {
      env,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      ...user,
    });
    const all = {
      listen_addresses: HOST,
      port,
      unix_socket_directories: folder,
      log_min_messages: 'warning',
      ...settings,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name} = '${value}'\n`);
    appendFileSync(join(data, 'postgresql.conf'), `\n${lines.join('')}`);
    server = run(join(bin, 'postgres'), ['-D', data]);
    await ready(server, join(data, 'postmaster.pid'));
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: HOST, port, url: `postgres://postgres@${HOST}:${port}/postgres`, pid: server.child.pid, stop };
}

/** Ends with this process, however it ends, where the system can do that. */
function run(file, args) {
  const tether = ['--pdeathsig', 'QUIT'];
  const canTether = process.platform === 'linux' && spawnSync('setpriv', [...tether, 'true'], user).status === 0;
  const [command, ...rest] = canTether ? ['setpriv', ...tether, file, ...args] : [file, ...args];
  const child = spawn(command, rest, { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], ...user });
  const server = { child, output: '', ended: new Promise((resolve) => child.once('close', resolve)) };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (server.output += chunk));
  return server;
}

/** By what it writes into its folder. */
async function ready(server, file) {
  const { child, ended } = server;
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const lines = read(file).split('\n');
    if (lines[0] === `${child.pid}` && lines[7]?.startsWith('ready')) return;
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill('SIGQUIT');
      await ended;
      throw new Error(`Postgres has not started: ${server.output}`);
    }
    await pause(20);
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
