import { LockUnavailableError, ProtocolError, ServerDrainingError } from '../common/errors.js';
import { withoutToken } from '../common/shown.js';

/** The connection is lost, or of no more use. */
export const gone = (server: string, what: string, cause?: Error): LockUnavailableError =>
  new LockUnavailableError(`${server}: ${what}`, { server, cause });

/** The server said what it must not say. */
export const violation = (server: string, line: string): ProtocolError =>
  new ProtocolError(`${server}: unexpected line ${JSON.stringify(withoutToken(line).slice(0, 80))}`, { server });

export const draining = (server: string): ServerDrainingError => new ServerDrainingError({ server });
