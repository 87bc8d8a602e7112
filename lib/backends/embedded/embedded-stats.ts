import { nextTurn } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import { STATS_LISTS, type StatsList } from '../../core/stats-json.js';
import { fromBytes } from '../../protocol/bytes.js';
import type { ServerStats } from '../../protocol/server-stats.js';

/** Lists that are being filled. */
type Told = { -readonly [L in StatsList]: Required<ServerStats>[L][number][] };

/**
 * The stats of the engine in this process. Many keys are read in portions of a millisecond or two, and the event loop
 * turns between them; a few keys are read in one go.
 */
export async function embeddedStats(
  { engine, clock }: EngineDriver,
  connections: number,
): Promise<Omit<ServerStats, 'server'>> {
  const told = Object.fromEntries(STATS_LISTS.map((list) => [list, []])) as unknown as Told;
  const walk = engine.statsWalk((list, entries) => {
    for (const entry of JSON.parse(`[${fromBytes(entries)}]`) as never[]) told[list].push(entry);
  });
  while (!walk.proceed(clock.now(), () => false)) await nextTurn();
  return { connections, ...told };
}
