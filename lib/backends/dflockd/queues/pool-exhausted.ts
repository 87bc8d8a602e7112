import { type LockError, PoolExhaustedError } from '../../../common/errors.js';
import type { RemoteConfig } from '../lanes/config.js';

/**
 * Makes the error of a caller for which no lane is available: KeyQueue and RemoteTicket decide when that is.
 * @param shortage what the server does; undefined: all lanes that the options allow are in use
 */
export const exhausted = (
  { server, config }: { readonly server: string; readonly config: Pick<RemoteConfig, 'maxWaitLanes'> },
  key: string,
  shortage: string | undefined,
): LockError =>
  new PoolExhaustedError(
    shortage ?? `all ${config.maxWaitLanes} wait lanes to ${server} are in use (option remote.maxWaitLanes)`,
    { key, server },
  );
