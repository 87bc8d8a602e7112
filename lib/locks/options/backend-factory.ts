import type { LockBackend } from '../../backends/backend.js';
import { EmbeddedBackend } from '../../backends/embedded/embedded.js';
import { RemoteBackend } from '../../backends/dflockd/remote.js';
import type { Clock, Entropy } from '../../common/system.js';
import type { BackendChoice } from './resolve-options.js';

/** The backend that the options name; nothing is connected yet. */
export function makeBackend(choice: BackendChoice, clock: Clock, entropy: Entropy): LockBackend {
  switch (choice.kind) {
    case 'remote':
      return new RemoteBackend(choice.config, clock, entropy);
    case 'embedded':
      return new EmbeddedBackend(choice.config, clock, entropy);
    case 'custom':
      return choice.backend;
  }
}
