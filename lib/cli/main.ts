#!/usr/bin/env node
import { onStop } from './stop-signals.js';
import { readFileSync } from 'node:fs';

const HELP = `nestjs-dflockd: distributed locks for NestJS

Usage:
  nestjs-dflockd daemon [flags]           run a lock daemon
  nestjs-dflockd lockd [flags]            run a server for clients of lockd
  nestjs-dflockd postgres-schema [flags]  print the SQL of the table for minimum holds in Postgres
  nestjs-dflockd --version
  nestjs-dflockd --help

"nestjs-dflockd <command> --help" lists the flags of a command.
`;

/** The version of the package, whose root is three folders above this file in either build. */
const version = (): string =>
  (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }).version;

const COMMANDS = {
  daemon: async () => (await import('./daemon-command.js')).daemonCommand,
  lockd: async () => (await import('./lockd-command.js')).lockdCommand,
  'postgres-schema': async () => (await import('./postgres-schema-command.js')).postgresSchemaCommand,
};

async function run(name: keyof typeof COMMANDS, args: readonly string[]): Promise<number> {
  const { keepCollectionsShort } = await import('./short-collections.js');
  keepCollectionsShort(process.execArgv, process.env.NODE_OPTIONS);
  // Loaded afterwards, because loading a program grows the heap.
  const [command, { standardStreams }] = await Promise.all([COMMANDS[name](), import('./standard-streams.js')]);
  const { out, err, leave } = standardStreams(process);
  const code = await command(args, {
    env: process.env,
    out,
    err,
    onStop,
    version: version(),
  });
  leave(code);
  return code;
}

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command) {
    case 'daemon':
    case 'lockd':
    case 'postgres-schema':
      return run(command, rest);
    case '--version':
    case '-v':
      process.stdout.write(`${version()}\n`);
      return 0;
    case '--help':
    case '-h':
    case 'help':
    case undefined:
      process.stdout.write(HELP);
      return 0;
    default:
      // A flag before the command; its value may be a secret.
      process.stderr.write(`unknown command ${JSON.stringify(command.replace(/=[\s\S]*$/, ''))}\n\n${HELP}`);
      return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
