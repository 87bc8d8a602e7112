import { type LockError, PoolExhaustedError, ProtocolError } from '../../../common/errors.js';
import type { RemoteConfig } from '../lanes/config.js';
import { gone } from '../lanes/lane-errors.js';

/** What a caller is told of it at its deadline: that a bare `error` came is no explanation. */
export const explained = (error: LockError, server: string): LockError =>
  error instanceof ProtocolError ? gone(server, 'it answers, but not to the point', error) : error;

/** There is no lane to wait on. @param shortage what the server does; undefined: all that the options allow are in use */
export const exhausted = (
  { server, config }: { readonly server: string; readonly config: Pick<RemoteConfig, 'maxWaitLanes'> },
  key: string,
  shortage: string | undefined,
): LockError =>
  new PoolExhaustedError(
    shortage ?? `all ${config.maxWaitLanes} wait lanes to ${server} are in use (option remote.maxWaitLanes)`,
    { key, server },
  );
