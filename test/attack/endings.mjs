import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { clientOptions, startAttackers, startCallers } from './siege.mjs';
import { until } from './until.mjs';

export const SHUTDOWN_S = 2;
/** For the way of a signal, and for a machine with more to do than cores. */
export const LATE_MS = 2000;
export const HOST = '127.0.0.1';

/** The daemon as it is started from a command line. */
export class Command {
  said = '';

  /** @param more flags @param log where it writes; usually it is read here */
  constructor(build, port, more = {}, log = 'pipe') {
    const flags = { host: HOST, port, 'read-timeout': 5, 'write-timeout': 2, 'shutdown-timeout': SHUTDOWN_S };
    const all = { ...flags, 'max-locks': 100_000, ...more };
    const args = Object.entries(all).map(([name, value]) => `-${name}=${value}`);
    const stdio = ['ignore', log, log];
    this.process = spawn(process.execPath, [join(build, 'cli/main.js'), 'daemon', ...args], { stdio });
    for (const stream of [this.process.stdout, this.process.stderr])
      stream?.on('data', (chunk) => (this.said += chunk));
    this.ended = new Promise((resolve) => this.process.on('exit', (code, signal) => resolve(signal ?? code)));
  }

  /** The port, once it is open. */
  async port() {
    const [, port] = await until(
      () => /listening.*?addr="?[\d.]+:(\d+)/.exec(this.said),
      10_000,
      'that the port is open',
    ).catch((error) => {
      throw new Error(`${error.message}: ${this.said.slice(-500)}`, { cause: error });
    });
    return Number(port);
  }
}

/** Attackers of all kinds, and other clients, while the daemon is told to end or is killed, and then started again. */
async function end(build, signal) {
  const violations = [];
  const callers = startCallers(build);
  const attackers = Array.from({ length: 3 }, () => startAttackers(false));
  const daemons = [new Command(build, 0)];
  try {
    const port = await daemons[0].port();
    const address = { host: HOST, port };
    await callers.ask('open', clientOptions(address));
    const [idle, readers, storm] = attackers;
    await idle.ask('begin', { kind: 'idle', address, count: 1000 });
    await readers.ask('begin', { kind: 'slow readers', address, count: 100, requests: 2000, byteMs: 1000 });
    await storm.ask('begin', { kind: 'storm', address, count: 16 });

    await callers.ask('start');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const told = performance.now();
    daemons[0].process.kill(signal);
    const patience = setTimeout(() => daemons[0].process.kill('SIGKILL'), SHUTDOWN_S * 1000 + LATE_MS);
    const how = await daemons[0].ended;
    clearTimeout(patience);
    const endedMs = performance.now() - told;
    const wanted = signal === 'SIGTERM' ? 0 : signal;
    if (how !== wanted)
      violations.push(`ended by ${how}, not ${wanted}, after ${endedMs.toFixed(0)} ms: ${daemons[0].said.slice(-500)}`);
    await Promise.all(attackers.map((attacker) => attacker.ask('end')));

    daemons.push(new Command(build, port));
    await daemons[1].port();
    const { errors, late } = await callers.ask('stop');
    if (late > 0) violations.push(`${late} callers were answered after their deadline`);
    await callers.ask('start');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const after = await callers.ask('stop');
    if (after.waits.length === 0) violations.push('the other clients did not come back');
    for (const [name, count] of Object.entries(after.errors)) violations.push(`${count} × ${name} after the restart`);
    for (const reason of await callers.ask('rejections')) violations.push(`unhandled rejection: ${reason}`);
    if (/unhandled|uncaught|at .*\.js:\d+/i.test(daemons[0].said)) violations.push(daemons[0].said.slice(-500));
    const told2 = Object.entries(errors).map(([name, count]) => `${count} × ${name}`);
    const said = [
      `${how === 0 ? 'exited with code 0' : `killed by ${how}`} after ${endedMs.toFixed(0)} ms`,
      `the other clients got ${told2.length > 0 ? told2.join(', ') : 'no error'}`,
      `${after.waits.length.toLocaleString('en-US')} calls in the second after the restart`,
    ].join('; ');
    return { said, violations };
  } finally {
    await Promise.all([callers, ...attackers].map((child) => child.stop()));
    for (const { process } of daemons) process.kill('SIGKILL');
    await Promise.all(daemons.map(({ ended }) => ended));
  }
}

export const endings = (build) =>
  ['SIGTERM', 'SIGKILL'].map((signal) => ({ name: `${signal} under load`, run: () => end(build, signal) }));
