import { EmbeddedBackend } from '../../lib/backends/embedded/embedded.js';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import { LockClient } from '../../lib/locks/lock-client.js';
import { resolveEmbedded } from '../../lib/backends/embedded/options.js';
import { describeLockClient } from './lock-client.contract.js';
import { eachRemote } from './servers.js';

const SOON = { shutdownTimeoutS: 2 };

eachRemote((name, servers, pace) =>
  describeLockClient(
    name,
    async () => {
      const { names, remote, facts, close } = await servers();
      return { connect: () => LockClient.connect({ servers: names, remote, ...SOON }), daemon: facts, close };
    },
    pace,
  ),
);

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
