import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections: nobody takes one by chance before Redis listens. */
const FIRST = 10_000;
const PORTS = 12_000;
/** Redis before 7 listens to other nodes of a cluster at this distance. */
const BUS = 10_000;
const given = new Set<number>();

/** A port that nobody listens on, at `BUS` above it neither. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * PORTS);
    if (given.has(port) || !(await isFree(port)) || !(await isFree(port + BUS))) continue;
    given.add(port);
    return port;
  }
}

export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (listens) await new Promise((resolve) => server.close(resolve));
  return listens;
}
