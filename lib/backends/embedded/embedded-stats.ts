import { nextTurn } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import { STATS_LISTS, type StatsList } from '../../core/stats.js';
import { fromBytes } from '../../protocol/bytes.js';
import type { ServerStats } from '../../protocol/server-stats.js';

/** The lists while they are filled. */
type Told = { -readonly [L in StatsList]: Required<ServerStats>[L][number][] };

/**
 * The `stats` of an engine in this process. Many keys are listed in portions of a millisecond or two, with a turn of
 * the event loop in between; few keys at once.
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
