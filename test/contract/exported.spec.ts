import { describe, it } from '@jest/globals';
import { resolveRemote } from '../../lib/backends/dflockd/options.js';
import { RemoteBackend } from '../../lib/backends/dflockd/remote.js';
import { resolveEmbedded } from '../../lib/backends/embedded/options.js';
import { EmbeddedBackend } from '../../lib/backends/embedded/embedded.js';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import { describeBackend } from '../../lib/entries/testing/backend.js';
import { memoryBackend } from '../support/memory-backend.js';

describeBackend({ describe, it }, 'memory, without order, fences, tickets and signals', () => ({
  connect: memoryBackend(),
}));

describeBackend({ describe, it }, 'dflockd', async () => {
  const inside = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), systemClock, systemEntropy);
  await inside.start();
  const config = resolveRemote([`127.0.0.1:${inside.address!.port}`], { fencing: 'token' });
  return {
    connect: ({ clock, entropy }) => new RemoteBackend(config, clock, entropy),
    close: () => inside.close(1000),
  };
});
