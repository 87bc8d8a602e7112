/** `nestjs-dflockd/daemon`: the lock daemon, to be embedded in a program of one's own. */
export { ConfigError } from '../common/errors.js';
export type { DaemonLogger, LogLevel } from '../daemon/logger.js';
export type { DflockdServerOptions, ShownServerOptions } from '../daemon/options.js';
export type { ListeningAddress } from '../daemon/open-port.js';
export { DflockdServer, type ServerDependencies } from '../daemon/server.js';
