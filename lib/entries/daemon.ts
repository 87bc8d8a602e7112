/** `nestjs-dflockd/daemon`: the lock daemon, to embed in your own program. */
export { ConfigError, LockError, type LockErrorDetails } from '../common/errors.js';
export type { Clock, Entropy, Ms, Timer } from '../common/system.js';
export { createHttpHandler, type HttpHandler, type HttpHandlerOptions } from '../daemon/create-http-handler.js';
export type { DaemonLogger, LogLevel } from '../daemon/shared/logger.js';
export type { HttpServerOptions } from '../daemon/shared/http-options.js';
export type { DflockdServerOptions, ResolvedServerSettings, ShownServerOptions } from '../daemon/shared/options.js';
export type { ListeningAddress } from '../daemon/shared/open-port.js';
export { DflockdServer, type ServerDependencies } from '../daemon/server.js';
