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

export const draining = (server: string): ServerDrainingError => new ServerDrainingError({ server });

/** The server wants a token, or another one. */
export const unauthorized = (server: string, hasToken: boolean): AuthError =>
  new AuthError(
    { server },
    `authentication failed: ${server} ${hasToken ? 'refuses the' : 'requires a'} token (option remote.auth)`,
  );

/** The server, or its TLS, says no to this client: another attempt helps only if somebody changes something. */
export const isRefusal = (error: LockError | undefined): boolean =>
  error instanceof AuthError || error instanceof ConfigError;
