import { connect } from 'node:net';
import type { DflockdServerOptions } from '../../lib/daemon/shared/options.js';
import { DflockdServer } from '../../lib/daemon/server.js';
import { optionOf } from '../../lib/cli/daemon-flags.js';
import type { Command, CommandLine } from '../support/command-line.js';
import type { OlderBehaviour } from '../support/older-behaviour.js';
import { OlderDaemon } from '../support/older-daemon.js';
import { Wire } from '../support/wire.js';
import type { ServerFlags } from './corpus.js';

/** The server that a scenario talks to. */
export interface Target {
  connect(): Promise<Wire>;
  /** Tells its process to stop. */
  signal(name: NodeJS.Signals): void;
  /** The exit code of its process, once it has ended. */
  exit(): Promise<number | null>;
  /** Whether a new connection is refused; undefined where there is no port. */
  refuses(): Promise<boolean | undefined>;
  stop(): Promise<void>;
}

export type Transport = 'tcp' | 'duplex';

type Address = { host: string; port: number };

const notOurs = (): never => {
  throw new Error('this server has no process of ours');
};

const optionsOf = (flags: ServerFlags): DflockdServerOptions => ({
  port: 0,
  ...Object.fromEntries(Object.entries(flags).map(([flag, value]) => [optionOf(flag), value])),
});

/** A daemon in this process. Its end stands for that of a process. */
export const inProcess = (flags: ServerFlags, transport: Transport): Promise<Target> =>
  targetOf(new DflockdServer(optionsOf(flags)), transport);

/** The daemon of the tests that behaves as older releases do. */
export const older = (flags: ServerFlags, behaviour?: OlderBehaviour): Promise<Target> =>
  targetOf(new OlderDaemon(optionsOf(flags), behaviour), 'tcp');

async function targetOf(server: DflockdServer | OlderDaemon, transport: Transport): Promise<Target> {
  const address = transport === 'tcp' ? await server.listen() : undefined;
  return {
    connect: async () => (address ? Wire.tcp(address) : Wire.pair(server)),
    signal: () => void server.close(),
    exit: async () => {
      await server.close();
      return 0;
    },
    refuses: async () => address && refuses(address),
    stop: () => server.close(),
  };
}

/** A daemon that the command line started. */
export async function inChild(commandLine: CommandLine, flags: ServerFlags): Promise<Target> {
  const args = Object.entries(flags).map(([flag, value]) => `-${flag}=${value}`);
  const command: Command = commandLine.start(['daemon', '-port=0', ...args]);
  try {
    const address = await command.listening();
    return {
      connect: () => Wire.tcp(address),
      signal: (name) => command.signal(name),
      exit: () => command.exit,
      refuses: () => refuses(address),
      stop: () => command.kill(),
    };
  } catch (error) {
    await command.kill();
    throw error;
  }
}

/** A daemon that runs already. */
export const running = (address: Address): Target => ({
  connect: () => Wire.tcp(address),
  signal: notOurs,
  exit: notOurs,
  refuses: () => refuses(address),
  stop: async () => {},
});

const refuses = (address: Address): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(address);
    socket.on('connect', () => resolve(false));
    socket.on('error', () => resolve(true));
    socket.on('connect', () => socket.destroy());
  });
