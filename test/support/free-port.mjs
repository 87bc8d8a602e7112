// Ports for the tests, benchmarks and scripts that cannot take port 0.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

const HOST = '127.0.0.1';
const PORTS = 10_000;
/** Redis before 7 listens to the other nodes of a cluster at this distance. */
const BUS = 10_000;
/** Processes begin in blocks of their own, by their ids: those of one run have ids that follow each other. */
const BLOCK = 100;
const BLOCKS = PORTS / BLOCK;
/** From one block of a process to its next one, which is none of its neighbours'. Coprime to the number of blocks. */
const STRIDE = 37;

/**
 * The ports that the system takes for port 0 and for outgoing connections. Whoever polls a closed one of them may find
 * the listener of somebody else, or even itself: a connection that leaves from the port to which it goes opens.
 */
function ephemeral() {
  try {
    return readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
  } catch {
    // IANA's range, which other systems have.
    return [49_152, 65_535];
  }
}

/** The first port to give away. A machine that leaves no room outside of `range` has to live with the chance. */
export function firstPort([lowest, highest] = ephemeral()) {
  const room = PORTS + BUS;
  return lowest < 10_000 + room && highest + room < 65_536 ? highest + 1 : 10_000;
}

/** The port that a process gets at its `n`th call, before it is known whether it is free. */
export function nthPort(pid, n, first = firstPort()) {
  const block = (pid + Math.floor(n / BLOCK) * STRIDE) % BLOCKS;
  return first + block * BLOCK + (n % BLOCK);
}

/** Of the process, not of this module, which jest loads anew for each spec file. */
const GIVEN = 'nestjs-dflockd: ports given';

/** A port that nobody listens on, and that no other call in this process gets. */
export async function freePort() {
  for (;;) {
    const n = getEnvironmentData(GIVEN) ?? 0;
    setEnvironmentData(GIVEN, n + 1);
    const port = nthPort(process.pid, n);
    if ((await isFree(port)) && (await isFree(port + BUS))) return port;
  }
}

export async function isFree(port) {
  const server = createServer();
  const listens = await new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => resolve(true));
  });
  if (listens) await new Promise((resolve) => server.close(resolve));
  return listens;
}
