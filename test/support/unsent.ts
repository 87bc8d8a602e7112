import { existsSync, readFileSync } from 'node:fs';

/** Only Linux shows what its sockets have to send. */
const SOCKETS = ['/proc/net/tcp', '/proc/net/tcp6'].filter((file) => existsSync(file));

const FIN_WAIT1 = '04';

/**
 * How many connections of this port their process has closed, while the kernel keeps bytes to send on them. Always 0 where
 * /proc/net/tcp does not exist.
 */
export function keptByTheKernel(port: number): number {
  const here = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = SOCKETS.flatMap((file) => readFileSync(file, 'latin1').split('\n').slice(1));
  return (
    rows
      .map((row) => row.trim().split(/\s+/))
      // The end itself counts as a byte until the peer's kernel has it.
      .filter(([, local, , state, queues]) => local?.endsWith(here) && state === FIN_WAIT1 && parseInt(queues!, 16) > 1)
      .length
  );
}
