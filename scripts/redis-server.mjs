// Makes sure that there is a redis-server for tests and benchmarks, and prints its version. As a module: where it is.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isExecutable, onPath } from './executables.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Where a server that was unpacked without root stays. */
const CACHE = join(root, 'node_modules/.cache/redis-server');
/** The server, and the libraries that a small Debian system does not have. */
const PACKAGES = ['redis-server', 'redis-tools', 'libatomic1', 'libjemalloc2', 'liblzf1'];
const ENVIRONMENT = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };

/**
 * The path of redis-server: DFLOCKD_TEST_REDIS_SERVER, one on the PATH, or the unpacked one. Undefined without, and with
 * DFLOCKD_TEST_REDIS=off.
 */
export function findRedis() {
  if (process.env.DFLOCKD_TEST_REDIS === 'off') return undefined;
  const given = process.env.DFLOCKD_TEST_REDIS_SERVER;
  if (given) {
    if (!isExecutable(given)) throw new Error(`DFLOCKD_TEST_REDIS_SERVER is not an executable file: ${given}`);
    return given;
  }
  return [...onPath('redis-server'), join(CACHE, 'redis-server')].find(isExecutable);
}

/** As `findRedis`; where there is none, Debian's packages are installed (by root) or unpacked (by others). */
export function provideRedis() {
  if (process.env.DFLOCKD_TEST_REDIS === 'off') return undefined;
  return findRedis() ?? (fetchRedis() ? findRedis() : undefined);
}

/** Whether what needs Redis fails without it, instead of being left out: DFLOCKD_TEST_REDIS=required. */
export const redisIsRequired = () => process.env.DFLOCKD_TEST_REDIS === 'required';

export const NO_REDIS = 'there is no redis-server: install it, or run `node scripts/redis-server.mjs` on Debian';

/** @returns whether it worked */
function fetchRedis() {
  if (onPath('apt-get').length === 0) return false;
  process.stderr.write('fetching redis-server\n');
  const isRoot = process.getuid?.() === 0;
  const fetchers = isRoot ? [install, updateAndInstall, unpack] : [unpack];
  return fetchers.some((fetch) => {
    try {
      fetch();
      return true;
    } catch (error) {
      process.stderr.write(`${error.message}\n`);
      return false;
    }
  });
}

const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, env: ENVIRONMENT, stdio: ['ignore', 'ignore', 'pipe'] });

function install() {
  run('apt-get', ['install', '-y', '--no-install-recommends', 'redis-server']);
}

/** The lists of packages may be missing, or old. */
function updateAndInstall() {
  run('apt-get', ['update']);
  install();
}

function unpack() {
  mkdirSync(dirname(CACHE), { recursive: true });
  const folder = mkdtempSync(`${CACHE}-`);
  try {
    run('apt-get', ['download', ...PACKAGES], folder);
    for (const name of readdirSync(folder)) if (name.endsWith('.deb')) run('dpkg', ['-x', name, '.'], folder);
    writeFileSync(join(folder, 'redis-server'), WRAPPER);
    chmodSync(join(folder, 'redis-server'), 0o755);
    rmSync(CACHE, { recursive: true, force: true });
    renameSync(folder, CACHE);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const WRAPPER = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
for folder in "$here"/usr/lib/*-linux-gnu* "$here"/lib/*-linux-gnu*; do
  LD_LIBRARY_PATH=$folder\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
exec "$here/usr/bin/redis-server" "$@"
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = provideRedis();
  if (file === undefined) {
    console.error(NO_REDIS);
    process.exitCode = 1;
  } else {
    console.log(`${file}: ${execFileSync(file, ['--version'], { encoding: 'utf8' }).trim()}`);
  }
}
