import { EmbeddedBackend } from '../../lib/backends/embedded.js';
import { RemoteBackend } from '../../lib/backends/remote.js';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import { resolveEmbedded } from '../../lib/locks/resolve-embedded.js';
import { resolveRemote } from '../../lib/locks/resolve-remote.js';
import { describeLockBackend, type Fixture } from './lock-backend.contract.js';
import {
  daemons,
  dflockd110,
  dflockd110WithoutAutoRelease,
  runningDaemon,
  type Servers,
  withoutAutoRelease,
  withTlsAndAuth,
} from './servers.js';

const reaching = ({ names, remote, facts, close }: Servers): Fixture => ({
  connect: () => new RemoteBackend(resolveRemote(names, remote), systemClock, systemEntropy),
  daemon: facts,
  places: remote.waitersPerKey ?? 8,
  close,
});

const describeRemote = (name: string, servers: () => Promise<Servers>, pace?: 'quick'): void =>
  describeLockBackend(name, async () => reaching(await servers()), pace);

describeRemote('remote, one server', () => daemons(1));
describeRemote('remote, three shards', () => daemons(3), 'quick');
describeRemote('remote, TLS and auth', withTlsAndAuth, 'quick');
describeRemote('remote, fences', () => daemons(1, {}, { fencing: 'token' }), 'quick');
describeRemote('remote, one place per key', () => daemons(1, {}, { waitersPerKey: 1 }), 'quick');
describeRemote(
  'remote, a place for each',
  () => daemons(1, {}, { waitersPerKey: Infinity, maxWaitLanes: Infinity }),
  'quick',
);
describeRemote('remote, dflockd 1.10', dflockd110);
describeRemote('remote, no auto-release', withoutAutoRelease);
describeRemote('remote, dflockd 1.10, no auto-release', dflockd110WithoutAutoRelease);

const present = runningDaemon();
if (present) describeRemote(`remote, ${present.names[0]}`, async () => present);

describeLockBackend('embedded', async () => {
  const backend = new EmbeddedBackend(resolveEmbedded(true), systemClock, systemEntropy);
  return { connect: () => backend, close: async () => undefined, places: Infinity };
});

describeLockBackend(
  'embedded and through its door',
  async () => {
    const inside = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), systemClock, systemEntropy);
    await inside.start();
    const { host, port } = inside.address!;
    return reaching({ names: [`${host}:${port}`], remote: {}, facts: {}, close: () => inside.close(1000) });
  },
  'quick',
);
