/** `nestjs-dflockd/lockd`: a client for lockd and glockd, and a server for their clients. */
export {
  ConfigError,
  LockError,
  type LockErrorDetails,
  LockKeyError,
  LockUnavailableError,
  ProtocolError,
  UnsupportedError,
} from '../common/errors.js';
export { connect, type LockdAnswer, LockdClient, type LockdIdentity } from '../dropin/lockd/client.js';
export type { LockdConnectOptions, LockdListenOptions } from '../dropin/lockd/options.js';
export type { LockdCallback } from '../dropin/lockd/outcome.js';
export { listen, LockdServer } from '../dropin/lockd/server.js';
