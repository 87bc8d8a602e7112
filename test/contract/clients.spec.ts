import { EmbeddedBackend } from '../../lib/backends/embedded.js';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import { LockClient } from '../../lib/locks/lock-client.js';
import { resolveEmbedded } from '../../lib/locks/resolve-embedded.js';
import { describeLockClient } from './lock-client.contract.js';
import {
  daemons,
  dflockd110,
  dflockd110WithoutAutoRelease,
  runningDaemon,
  type Servers,
  withoutAutoRelease,
  withTlsAndAuth,
} from './servers.js';

const SOON = { shutdownTimeoutS: 0.5 };

const describeRemote = (name: string, servers: () => Promise<Servers>, pace?: 'quick'): void =>
  describeLockClient(
    name,
    async () => {
      const { names, remote, facts, close } = await servers();
      return { connect: () => LockClient.connect({ servers: names, remote, ...SOON }), daemon: facts, close };
    },
    pace,
  );

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

describeLockClient('embedded', async () => {
  const client = await LockClient.connect({ embedded: true, ...SOON });
  return { connect: async () => client, close: async () => undefined };
});

describeLockClient('embedded, beside others that come through its door', async () => {
  const inside = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), systemClock, systemEntropy);
  const first = await LockClient.connect({ backend: inside, ...SOON });
  const { host, port } = inside.address!;
  const others = [first];
  return {
    connect: async () =>
      others.pop() ?? LockClient.connect({ servers: [`${host}:${port}`], remote: { fencing: 'token' }, ...SOON }),
    close: () => inside.close(1000),
  };
});
