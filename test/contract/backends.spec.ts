import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedBackend } from '../../lib/backends/embedded.js';
import { RemoteBackend } from '../../lib/backends/remote.js';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import type { DflockdServerOptions } from '../../lib/daemon/options.js';
import { DflockdServer } from '../../lib/daemon/server.js';
import type { RemoteOptions } from '../../lib/locks/options.js';
import { resolveEmbedded } from '../../lib/locks/resolve-embedded.js';
import { resolveRemote } from '../../lib/locks/resolve-remote.js';
import { selfSigned } from '../support/certificates.js';
import { describeLockBackend, type Fixture } from './lock-backend.contract.js';

const remote = (servers: readonly string[], options?: RemoteOptions) =>
  new RemoteBackend(resolveRemote(servers, options), systemClock, systemEntropy);

async function daemons(count: number, options: DflockdServerOptions, client?: RemoteOptions): Promise<Fixture> {
  const servers = Array.from({ length: count }, () => new DflockdServer({ port: 0, shutdownTimeout: 1, ...options }));
  const addresses = await Promise.all(servers.map((server) => server.listen()));
  const names = addresses.map(({ host, port }) => `${host}:${port}`);
  return {
    connect: () => remote(names, client),
    close: async () => void (await Promise.all(servers.map((server) => server.close()))),
  };
}

describeLockBackend('remote, one server', () => daemons(1, {}));

describeLockBackend('remote, three shards', () => daemons(3, {}));

describeLockBackend('remote, TLS and auth', async () => {
  const { key, cert } = await selfSigned();
  const folder = mkdtempSync(join(tmpdir(), 'dflockd-'));
  const [tlsKey, tlsCert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  writeFileSync(tlsKey, key);
  writeFileSync(tlsCert, cert);
  const fixture = await daemons(
    1,
    { tlsKey, tlsCert, authToken: 'très secret' },
    { tls: { ca: cert }, auth: 'très secret' },
  );
  rmSync(folder, { recursive: true });
  return fixture;
});

// A daemon that already runs: DFLOCKD_TEST_ADDR=host:port.
const { DFLOCKD_TEST_ADDR } = process.env;
if (DFLOCKD_TEST_ADDR) {
  describeLockBackend(`remote, ${DFLOCKD_TEST_ADDR}`, async () => ({
    connect: () => remote([DFLOCKD_TEST_ADDR]),
    close: async () => undefined,
  }));
}

describeLockBackend('embedded', async () => {
  const backend = new EmbeddedBackend(resolveEmbedded(true), systemClock, systemEntropy);
  return { connect: () => backend, close: async () => undefined };
});

describeLockBackend('embedded and through its door', async () => {
  const inside = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), systemClock, systemEntropy);
  await inside.start();
  const { host, port } = inside.address!;
  return { connect: () => remote([`${host}:${port}`]), close: () => inside.close(1000) };
});
