import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DflockdServerOptions } from '../../lib/daemon/shared/options.js';
import { DflockdServer } from '../../lib/daemon/server.js';
import type { RemoteOptions } from '../../lib/locks/options/options.js';
import { selfSigned } from '../support/certificates.js';
import { OlderDaemon } from '../support/older-daemon.js';
import type { DaemonFacts } from './lock-backend.contract.js';

/** Running daemons, and how to reach them. */
export interface Servers {
  readonly names: readonly string[];
  readonly remote: RemoteOptions;
  readonly facts: DaemonFacts;
  close(): Promise<void>;
}

const CLOSES_SOON = { port: 0, shutdownTimeout: 1 };

const OLDER: DaemonFacts = { oneNamespace: true, closeUnnoticed: true };

async function running(
  servers: readonly (DflockdServer | OlderDaemon)[],
  remote: RemoteOptions,
  facts: DaemonFacts = {},
): Promise<Servers> {
  const addresses = await Promise.all(servers.map((server) => server.listen()));
  return {
    names: addresses.map(({ host, port }) => `${host}:${port}`),
    remote,
    facts,
    close: async () => void (await Promise.all(servers.map((server) => server.close()))),
  };
}

export const daemons = (count: number, options: DflockdServerOptions = {}, remote: RemoteOptions = {}) =>
  running(
    Array.from({ length: count }, () => new DflockdServer({ ...CLOSES_SOON, ...options })),
    remote,
  );

export async function withTlsAndAuth(): Promise<Servers> {
  const { key, cert } = await selfSigned();
  const folder = mkdtempSync(join(tmpdir(), 'dflockd-'));
  const [tlsKey, tlsCert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  writeFileSync(tlsKey, key);
  writeFileSync(tlsCert, cert);
  try {
    return await daemons(1, { tlsKey, tlsCert, authToken: 'très secret' }, { tls: { ca: cert }, auth: 'très secret' });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const dflockd110 = (): Promise<Servers> => running([new OlderDaemon(CLOSES_SOON)], {}, OLDER);

/** Daemons that free nothing when a connection ends; clients that know it. */
export const withoutAutoRelease = (): Promise<Servers> =>
  running(
    [new DflockdServer({ ...CLOSES_SOON, autoReleaseOnDisconnect: false })],
    { autoRelease: false },
    { keepsOnClose: true },
  );

/** The same of 1.10, which does not even forget the places of the dead. */
export const dflockd110WithoutAutoRelease = (): Promise<Servers> =>
  running(
    [new OlderDaemon({ ...CLOSES_SOON, autoReleaseOnDisconnect: false })],
    { autoRelease: false },
    { ...OLDER, keepsOnClose: true },
  );

/** A daemon that already runs: DFLOCKD_TEST_ADDR=host:port, and DFLOCKD_TEST_LINE=1.10 if it is that old. */
export function runningDaemon(): Servers | undefined {
  const { DFLOCKD_TEST_ADDR: address, DFLOCKD_TEST_LINE: line } = process.env;
  if (address === undefined) return undefined;
  return { names: [address], remote: {}, facts: line === '1.10' ? OLDER : {}, close: async () => undefined };
}

/** Every way to stand on dflockd that the contracts are held to; `quick`: without what takes long. */
export function eachRemote(hold: (name: string, servers: () => Promise<Servers>, pace?: 'quick') => void): void {
  hold('remote, one server', () => daemons(1));
  hold('remote, three shards', () => daemons(3), 'quick');
  hold('remote, TLS and auth', withTlsAndAuth, 'quick');
  hold('remote, fences', () => daemons(1, {}, { fencing: 'token' }), 'quick');
  hold('remote, one place per key', () => daemons(1, {}, { waitersPerKey: 1 }), 'quick');
  hold('remote, a place for each', () => daemons(1, {}, { waitersPerKey: Infinity, maxWaitLanes: Infinity }), 'quick');
  hold('remote, dflockd 1.10', dflockd110);
  hold('remote, no auto-release', withoutAutoRelease);
  hold('remote, dflockd 1.10, no auto-release', dflockd110WithoutAutoRelease);
  const present = runningDaemon();
  if (present) hold(`remote, ${present.names[0]}`, async () => present);
}
