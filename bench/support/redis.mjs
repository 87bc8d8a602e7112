import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of redis-server, which root installs from Debian if it is missing; undefined if that fails. */
export function findRedis() {
  return onPath('redis-server') ?? (process.getuid?.() === 0 && install() ? onPath('redis-server') : undefined);
}

function onPath(name) {
  const files = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  return files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function install() {
  if (onPath('apt-get') === undefined) return false;
  process.stderr.write('installing redis-server\n');
  const get = (...args) => execFileSync('apt-get', args, { stdio: 'ignore', env: ENVIRONMENT });
  try {
    get('install', '-y', 'redis-server');
    return true;
  } catch {
    // The package lists may be missing or outdated.
  }
  try {
    get('update');
    get('install', '-y', 'redis-server');
    return true;
  } catch {
    return false;
  }
}

const ENVIRONMENT = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
