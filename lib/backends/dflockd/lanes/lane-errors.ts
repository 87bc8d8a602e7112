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

/** The connection is lost, or of no more use. */
export const gone = (server: string, what: string, cause?: Error): LockUnavailableError =>
  new LockUnavailableError(`${server}: ${what}`, { server, cause });

/** A lock's token. */
const TOKENS = /\b[0-9a-f]{32}\b/g;

/** The server said what it must not say. */
export const violation = (server: string, line: string): ProtocolError =>
  new ProtocolError(`${server}: unexpected line ${quoted(withoutToken(line).replace(TOKENS, '***'))}`, { server });

/** What a caller is told of it at its deadline: that a bare `error` came is no explanation. */
export const explained = (error: LockError, server: string): LockError =>
  error instanceof ProtocolError ? gone(server, 'it answers, but not to the point', error) : error;

export const draining = (server: string): ServerDrainingError => new ServerDrainingError({ server });

/** Whether the server has accepted this client before: what has been put wrong may be put right. */
export interface Acceptance {
  readonly hasWorked: boolean;
}

export const NEVER: Acceptance = { hasWorked: false };

/** The server wants a token, or another one. */
export const unauthorized = (server: string, hasToken: boolean, { hasWorked }: Acceptance = NEVER): AuthError =>
  new AuthError(
    { server, isTransient: hasWorked },
    `authentication failed: ${server} ${hasToken ? 'refuses the' : 'requires a'} token (option remote.auth)`,
  );

/** The server, or its TLS, says no to this client: there is no hurry to try again. */
export const isRefusal = (error: LockError | undefined): boolean =>
  error instanceof AuthError || error instanceof ConfigError;
