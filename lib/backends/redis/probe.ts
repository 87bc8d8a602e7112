import type { Entropy } from '../../common/system.js';
import type { RedisDriver } from './drivers/driver.js';
import { parseInfo, type ServerInfo } from './drivers/server-info.js';
import { channelOf } from './scripts/messages.js';
import { lockKeys } from './scripts/companion-keys.js';
import { probeScript } from './scripts/probe-script.js';
import { clientId } from './scripts/token.js';

export const serverInfo = async (driver: RedisDriver): Promise<ServerInfo> =>
  parseInfo(await driver.command(undefined, ['INFO']));

/**
 * Makes this client reachable, and returns its id, which begins with how messages to it are delivered. Its channel is subscribed
 * where it has only one. Behind a proxy that keeps subscribers elsewhere, the number of receivers says nothing.
 */
export async function joinAs(driver: RedisDriver, entropy: Entropy): Promise<string> {
  if (driver.isSharded) return clientId('s', entropy);
  const sure = clientId('x', entropy);
  if (!driver.isCluster) {
    const channel = channelOf(sure, '');
    await driver.subscribe(channel);
    const { fence } = lockKeys('', false);
    const ask = (): Promise<unknown> => driver.eval(probeScript, [fence], ['PUBLISH', channel, 'probe']);
    // Twice: the first brings the script, the second one shows that it may be run by its name as well.
    const [receivers] = await Promise.all([ask(), ask()]);
    if (receivers === 1) return sure;
    driver.unsubscribe(channel);
  }
  const unsure = clientId('u', entropy);
  await driver.subscribe(channelOf(unsure, ''));
  return unsure;
}
