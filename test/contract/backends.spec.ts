import { EmbeddedBackend } from '../../lib/backends/embedded.js';
import { RemoteBackend } from '../../lib/backends/remote.js';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import { resolveEmbedded } from '../../lib/locks/resolve-embedded.js';
import { resolveRemote } from '../../lib/locks/resolve-remote.js';
import { describeLockBackend, type Fixture } from './lock-backend.contract.js';
import { eachRemote, type Servers } from './servers.js';

const reaching = ({ names, remote, facts, close }: Servers): Fixture => ({
  connect: () => new RemoteBackend(resolveRemote(names, remote), systemClock, systemEntropy),
  daemon: facts,
  places: remote.waitersPerKey ?? 8,
  close,
});

eachRemote((name, servers, pace) => describeLockBackend(name, async () => reaching(await servers()), pace));

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
