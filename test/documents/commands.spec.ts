import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
// @ts-expect-error -- comes without types
import yaml from 'js-yaml';
import { DAEMON_FLAGS, daemonOptions } from '../../lib/cli/daemon-flags.js';
import { parseFlags } from '../../lib/cli/flags.js';
import { LOCKD_FLAGS } from '../../lib/cli/lockd-command.js';
import { POSTGRES_SCHEMA_FLAGS } from '../../lib/cli/postgres-schema-command.js';
import { resolveServerOptions } from '../../lib/daemon/shared/options.js';
import { blocksIn, blocksOf, nameOf, PAGES, readPage } from './pages.js';

const { scripts, bin } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<
  'scripts' | 'bin',
  Record<string, string>
>;

/** @throws what the daemon would answer */
function checkDaemon(args: readonly string[]): void {
  const options = daemonOptions(parseFlags(DAEMON_FLAGS, args), new Map());
  // The file is on the machine of the reader.
  resolveServerOptions({ ...options, authTokenFile: undefined, tlsCert: undefined, tlsKey: undefined });
}

/** @throws Error saying what is wrong with a command of a page */
function check(command: string): void {
  const [program, ...args] = command.replace(/^(exec |[A-Z_]+=(\$\([^)]*\)|\S+) )+/, '').split(/\s+/);
  const line = args.join(' ');
  if (program === 'npx' && args[0] === 'nestjs-dflockd') {
    if (args[1] === 'lockd') return void parseFlags(LOCKD_FLAGS, args.slice(2));
    if (args[1] === 'postgres-schema') return void parseFlags(POSTGRES_SCHEMA_FLAGS, args.slice(2));
    if (args[1] !== 'daemon') throw new Error(`${command}: no such command`);
    return checkDaemon(args.slice(2));
  }
  if (/(^|\/)node$/.test(program!)) {
    const main = /node_modules\/nestjs-dflockd\/(\S+) daemon ?(.*)$/.exec(line);
    if (!main || main[1] !== bin['nestjs-dflockd']) throw new Error(`${command}: is not the command of the package`);
    return checkDaemon(main[2]!.split(' ').filter(Boolean));
  }
  if (program === 'npm') {
    if (/^(ci|install (--\S+ )*[@\w.-]+( [@\w.-]+)*)$/.test(line)) return;
    const script = args[0] === 'run' ? args[1] : args[0];
    if (script && script in scripts) return;
    throw new Error(`${command}: package.json has no such script`);
  }
  if (program!.startsWith('.') && existsSync(program!)) return;
  if (KNOWN.some((known) => known.test(`${program} ${line}`))) return;
  throw new Error(`${command}: nobody has checked such a command`);
}

/** Commands of other programs, which read what deployment.spec checks. */
const KNOWN = [/^docker (build|compose|run) /, /^kubectl (apply|create) /, /^nest start --watch$/];

const commandsOf = (code: string): string[] =>
  code
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .flatMap((line) => line.split(/\s*&&\s*|\s*\|\s*/))
    .filter((command) => command !== '');

describe('the commands on the pages', () => {
  const all = blocksIn('bash', 'sh')
    // Those are run, by http.spec.
    .filter(({ note }) => !/^run\b/.test(note))
    .flatMap((block) => commandsOf(block.code).map((command) => [`${nameOf(block)}: ${command}`, command] as const));

  it.each(all)('exist: %s', (_, command) => check(command));

  it.each([
    'npx nestjs-dflockd deamon',
    'npx nestjs-dflockd daemon --max-lock 5',
    'npx nestjs-dflockd lockd --port 5',
    'npx nestjs-dflockd daemon --port 70000',
    'exec node node_modules/nestjs-dflockd/dist/main.js daemon',
    'npm run nothing',
    'frobnicate',
  ])('would not pass with: %s', (command) => expect(() => check(command)).toThrow());

  // The pages on reliability and on the protocol name others, too.
  it('have the flags that text names', () => {
    const flags = [...DAEMON_FLAGS, ...LOCKD_FLAGS, ...POSTGRES_SCHEMA_FLAGS];
    const known = new Set(flags.flatMap(({ name, env }) => [`--${name}`, env!]));
    const named = PAGES.filter((page) => !/reliability|protocol/.test(page)).flatMap((page) =>
      [...readPage(page).matchAll(/`(--(?!help|init|watch|user)[a-z-]+)|`(DFLOCKD_[A-Z_]+)/g)].map(
        ([, flag, env]) => flag ?? env!,
      ),
    );
    expect(named.filter((flag) => !known.has(flag))).toEqual([]);
    expect(named.length).toBeGreaterThan(10);
  });
});

describe('the blocks of the pages', () => {
  it('are JSON and YAML where they say so', () => {
    const parsed = [
      ...blocksIn('json').map(({ code }) => JSON.parse(code) as unknown),
      ...blocksIn('yaml').flatMap(({ code }) => yaml.safeLoadAll(code) as unknown[]),
    ];
    expect(parsed.length).toBeGreaterThanOrEqual(3);
    expect(parsed.filter((document) => typeof document !== 'object')).toEqual([]);
  });

  it('are in languages that some test reads', () => {
    const read = ['ts', 'diff', 'bash', 'sh', 'json', 'yaml', 'dockerfile', 'text', 'sql'];
    const others = PAGES.flatMap(blocksOf).filter(({ language }) => !read.includes(language));
    // Grammars, transcripts and the like of the protocol, a unit of systemd, a query.
    const known = /protocol|reliability|operations/;
    expect(others.filter(({ page }) => !known.test(page)).map(nameOf)).toEqual([]);
  });
});
