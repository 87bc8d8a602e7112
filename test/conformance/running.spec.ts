import { it } from '@jest/globals';
import type { Line } from './corpus.js';
import { runningDaemonSuite } from './suite.js';

// A daemon that runs already, with default flags: DFLOCKD_TEST_ADDR=host:port, and DFLOCKD_TEST_LINE=1.10 or 1.16
// (the default) for the answers that are wanted.
const address = process.env['DFLOCKD_TEST_ADDR'];
const line = process.env['DFLOCKD_TEST_LINE'] ?? '1.16';

if (address === undefined) {
  it.skip('is replayed against the daemon at DFLOCKD_TEST_ADDR', () => {});
} else {
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(address) ?? [];
  if (host === undefined) throw new Error(`DFLOCKD_TEST_ADDR must be host:port, got ${address}`);
  if (line !== '1.10' && line !== '1.16') throw new Error(`DFLOCKD_TEST_LINE must be 1.10 or 1.16, got ${line}`);
  runningDaemonSuite({ host, port: Number(port) }, line satisfies Line);
}
