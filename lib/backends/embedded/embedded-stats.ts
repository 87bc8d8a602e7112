import { nextTurn } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import { STATS_LISTS, type StatsList } from '../../core/stats.js';
import { fromBytes } from '../../protocol/bytes.js';

/**
 * What `stats` tells of an engine in this process. Many keys are told in portions of a millisecond or two, and the event loop turns
 * between them; a few in one go.
 */
export async function embeddedStats({ engine, clock }: EngineDriver, connections: number): Promise<object> {
  const told = Object.fromEntries(STATS_LISTS.map((list) => [list, []])) as unknown as Record<StatsList, unknown[]>;
  const walk = engine.statsWalk((list, entries) => {
    for (const entry of JSON.parse(`[${fromBytes(entries)}]`) as unknown[]) told[list].push(entry);
  });
  while (!walk.proceed(clock.now(), () => false)) await nextTurn();
  return { connections, ...told };
}
