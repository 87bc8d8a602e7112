import {
  AuthError,
  ConfigError,
  type LockError,
  LockUnavailableError,
  ProtocolError,
  ServerDrainingError,
} from '../../../common/errors.js';
import { withoutToken } from '../../../common/shown.js';
import { quoted } from './stranger.js';

/** The connection is lost or no longer usable. */
export const gone = (server: string, what: string, cause?: Error): LockUnavailableError =>
  new LockUnavailableError(`${server}: ${what}`, { server, cause });

/** The token of a lock. */
const TOKENS = /\b[0-9a-f]{32}\b/g;

/** The server violated the protocol. */
export const violation = (server: string, line: string): ProtocolError =>
  new ProtocolError(`${server}: unexpected line ${quoted(withoutToken(line).replace(TOKENS, '***'))}`, { server });

/** The server sent a line longer than the protocol allows. */
export const oversized = (server: string): ProtocolError =>
  new ProtocolError(`${server}: a reply exceeds the line limit`, { server });

/** The error reported to a caller at its deadline. A bare `error` reply alone would explain nothing. */
export const explained = (error: LockError, server: string): LockError =>
  error instanceof ProtocolError ? gone(server, 'the server answers `error` to acquire requests', error) : error;

export const draining = (server: string): ServerDrainingError => new ServerDrainingError({ server });

/** Whether the server has accepted this client before, so that a refusal may be temporary. */
export interface Acceptance {
  readonly hasWorked: boolean;
}

export const NEVER: Acceptance = { hasWorked: false };

/** The server requires a token, or a different one. */
export const unauthorized = (server: string, hasToken: boolean, { hasWorked }: Acceptance = NEVER): AuthError =>
  new AuthError(
    { server, isTransient: hasWorked },
    `authentication failed: ${server} ${hasToken ? 'refuses the' : 'requires a'} token (option remote.auth)`,
  );

/** The server, or its TLS, refuses this client, so retries need not be frequent. */
export const isRefusal = (error: LockError | undefined): boolean =>
  error instanceof AuthError || error instanceof ConfigError;
