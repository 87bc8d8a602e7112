import type { ServerPool } from './server-pool.js';
import { LockError, UnsupportedError } from '../../common/errors.js';
import { fromBytes, toBytes } from '../../protocol/bytes.js';
import { replyError } from '../../protocol/reply-error.js';
import type { SignalTaker } from '../backend.js';

/**
 * Publishes at most once: if the reply is lost, the signal is not sent again. Sends over the control lane: a payload that
 * is too long for an older server ends the connection (spec 1.2).
 */
export function publishOn(pool: ServerPool, channel: string, payload: string): Promise<number> {
  const { server } = pool;
  return new Promise((resolve, reject) => {
    pool.ask({ t: 'signal', channel: toBytes(channel), payload: toBytes(payload) }, (outcome) => {
      if (outcome instanceof LockError) reject(outcome);
      else if (outcome.s === 'delivered') resolve(outcome.count);
      else if (outcome.s === 'error')
        reject(new UnsupportedError(`${server} does not support signals: dflockd 1.11 to 1.16 do`));
      else reject(replyError(outcome, 'signal', undefined, server));
    });
  });
}

/**
 * Subscribes on all servers, because a channel may live on any of them. The first failure ends the subscription on all.
 * Returns a function that unsubscribes.
 */
export function subscribeTo(
  pools: readonly ServerPool[],
  pattern: string,
  group: string,
  taker: SignalTaker,
): () => void {
  let over = false;
  const leaves: (() => void)[] = [];
  const leave = (): void => {
    over = true;
    for (const each of leaves.splice(0)) each();
  };
  for (const { listeners } of pools) {
    if (over) break;
    const stop = listeners.subscribe(toBytes(pattern), toBytes(group), {
      signal: ({ channel, payload }) => over || taker.signal(fromBytes(channel), fromBytes(payload)),
      failed(error) {
        if (over) return;
        leave();
        taker.failed(error);
      },
    });
    // A subscription may have failed at once.
    if (over) stop();
    else leaves.push(stop);
  }
  return leave;
}
