// The other clients: callers with a key of their own each, who acquire and release at a steady pace.
import { subscribe } from 'node:diagnostics_channel';
import { setTimeout as pause } from 'node:timers/promises';
import { answer } from '../../../bench/support/child.mjs';

const { LockClient } = await import(process.argv[2]);
const CLIENTS = 4;
const CALLERS = 40;
const PACE_MS = 20;
const DEADLINE_S = 5;
const LEASE_S = 3;
/** What a caller may be late by on a machine with more to do than cores. */
const LATE_MS = 1000;

const sockets = new Set();
subscribe('net.client.socket', ({ socket }) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
});
const rejections = [];
process.on('unhandledRejection', (reason) => rejections.push(String(reason)));
let clients = [];

let running = false;
let calling = [];
let seen;
/** Locks that are held all the time: who loses one is told. */
let held = [];

async function call(client, key) {
  // Not all in one turn.
  await pause(Math.random() * PACE_MS);
  while (running) {
    const asked = performance.now();
    try {
      const lock = await client.acquire(key, { acquireTimeoutS: DEADLINE_S });
      await lock.release();
      seen.waits.push(performance.now() - asked);
    } catch (error) {
      seen.errors[error.name] = (seen.errors[error.name] ?? 0) + 1;
      if (performance.now() - asked > DEADLINE_S * 1000 + LATE_MS) seen.late++;
    }
    await pause(Math.max(0, PACE_MS - (performance.now() - asked)));
  }
}

answer({
  async open(options) {
    clients = await Promise.all(Array.from({ length: CLIENTS }, () => LockClient.connect(options)));
  },
  /** Takes locks that are held until the end. */
  async hold() {
    held = await Promise.all(clients.map((client, i) => client.acquire(`other:holder:${i}`, { leaseTtlS: LEASE_S })));
  },
  start() {
    seen = { waits: [], errors: {}, late: 0 };
    running = true;
    calling = Array.from({ length: CALLERS }, (_, i) => call(clients[i % CLIENTS], `other:caller:${i}`));
  },
  /** @returns how long each acquire with its release took since the start, in ms, and what went wrong */
  async stop() {
    running = false;
    await Promise.all(calling);
    const lost = held.filter((lock) => !lock.isHeld).length;
    if (lost > 0) seen.errors['lock lost'] = lost;
    return seen;
  },
  /** How many connections the clients have. */
  connections: () => sockets.size,
  rejections: () => rejections,
  close: () => Promise.all(clients.map((client) => client.close())),
});
