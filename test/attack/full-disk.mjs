import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { freePort } from '../support/free-port.mjs';
import { Command, HOST, LATE_MS, SHUTDOWN_S } from './endings.mjs';
import { clientOptions, startAttackers, startCallers } from './siege.mjs';
import { until } from './until.mjs';

/** Above what the other clients need: everybody else is refused, and each refusal has a line in the log. */
const MOST = 40;
const UNDER_ATTACK_MS = 3000;

const isOpen = (port) =>
  new Promise((resolve) => {
    const socket = connect({ host: HOST, port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** The log is a full disk, and strangers come who are refused: the daemon goes on, and ends when it is told to. */
async function overFullDisk(build) {
  const violations = [];
  const log = openSync('/dev/full', 'w');
  const port = await freePort();
  const daemon = new Command(build, port, { 'max-connections': MOST }, log);
  closeSync(log);
  const callers = startCallers(build);
  const attackers = startAttackers(false);
  try {
    await until(() => isOpen(port), 10_000, 'that the port is open');
    await callers.ask('open', clientOptions({ host: HOST, port }));
    await callers.ask('hold');
    await callers.ask('start');
    await attackers.ask('begin', { kind: 'storm', address: { host: HOST, port }, count: 64 });
    await new Promise((resolve) => setTimeout(resolve, UNDER_ATTACK_MS));
    const { opened, failed, cut } = await attackers.ask('end');
    const { waits, errors, late } = await callers.ask('stop');
    for (const [name, count] of Object.entries(errors)) violations.push(`${count} × ${name} for other clients`);
    if (waits.length === 0) violations.push('no other client was served');
    if (late > 0) violations.push(`${late} callers were answered after their deadline`);
    if (daemon.process.exitCode !== null) violations.push(`the daemon exited with code ${daemon.process.exitCode}`);
    if (failed + cut === 0) violations.push('the attack was none: nobody was refused');
    await callers.ask('close');
    daemon.process.kill('SIGTERM');
    const patience = setTimeout(() => daemon.process.kill('SIGKILL'), SHUTDOWN_S * 1000 + LATE_MS);
    const how = await daemon.ended;
    clearTimeout(patience);
    if (how !== 0) violations.push(`ended by ${how}, not 0`);
    const said = `${opened.toLocaleString('en-US')} connections opened, most of them refused; ${waits.length.toLocaleString('en-US')} calls of others; exited with code ${how}`;
    return { said, violations };
  } catch (error) {
    // What others saw of it explains less.
    await until(() => daemon.process.exitCode !== null, LATE_MS).catch(() => Promise.reject(error));
    throw new Error(`the daemon exited with code ${daemon.process.exitCode}`, { cause: error });
  } finally {
    await Promise.all([callers, attackers].map((child) => child.stop()));
    daemon.process.kill('SIGKILL');
    await daemon.ended;
  }
}

export const fullDisk = (build) => [{ name: 'a full disk under the log', run: () => overFullDisk(build) }];
