import { existsSync, readFileSync } from 'node:fs';

const SOCKETS = ['/proc/net/tcp', '/proc/net/tcp6'].filter((file) => existsSync(file));

/** Only Linux shows what its sockets have to send; elsewhere, nothing is found. */
export const canSeeUnsent = SOCKETS.length > 0;

const FIN_WAIT1 = '04';

/** Connections of this port whose process has closed them, and for which the kernel keeps bytes to send. */
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
