/** `nestjs-dflockd/daemon`: the lock daemon, to embed in your own program. */
export { ConfigError, LockError, type LockErrorDetails } from '../common/errors.js';
export type { Clock, Entropy, Ms, Timer } from '../common/system.js';
export type { DaemonLogger, LogLevel } from '../daemon/logger.js';
export type { DflockdServerOptions, ResolvedServerSettings, ShownServerOptions } from '../daemon/options.js';
export type { ListeningAddress } from '../daemon/open-port.js';
export { DflockdServer, type ServerDependencies } from '../daemon/server.js';
