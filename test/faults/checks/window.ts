import { type Evidence, type Hold, stalledWithin, type Violation } from '../log/evidence.js';
import { millis } from '../log/time.js';
import type { Fates } from './fates.js';
import { ALLOWED } from './limits.js';

/** A lock that was lost while held. */
export interface Loss {
  readonly hold: Hold;
  /** How long after the daemon had freed it the holder still believed; below zero: the holder knew before. */
  readonly windowNs: number;
  /** Its connection was cut where both sides could see it. */
  readonly cut: boolean;
}

/** Losses, and what was released as if it had still been held, with their zombie windows, as far as the daemon's log has their ends. */
export function lossesOf({ holds }: Evidence, fates: Fates): Loss[] {
  const losses: Loss[] = [];
  for (const hold of holds) {
    const fate = fates.of(hold);
    if (fate?.freedAt === undefined) continue;
    // Released in time, or its process was killed.
    if (hold.end !== 'lost' && (hold.end === 'open' || hold.believedUntil <= fate.freedAt)) continue;
    losses.push({ hold, windowNs: hold.believedUntil - fate.freedAt, cut: fate.cutAt !== undefined });
  }
  return losses;
}

/**
 * The zombie window: nobody believes in a lock that the daemon has freed. Where the end of its connection freed it, the
 * holder is told within 50 ms; the time in which its process, or what carried the news, did not run does not count, nor does the time that the system took to end a killed daemon.
 */
export function checkWindows(evidence: Evidence, fates: Fates): Violation[] {
  const found: Violation[] = [];
  for (const { hold, windowNs, cut } of lossesOf(evidence, fates)) {
    if (windowNs <= 0) continue;
    const freedAt = hold.believedUntil - windowNs;
    if (cut) {
      const { stalls } = fates.of(hold)!.life;
      const carriers = [...(evidence.stalls.get(hold.worker) ?? []), ...evidence.proxyStalls, ...stalls];
      if (windowNs - stalledWithin(carriers, freedAt, hold.believedUntil) <= ALLOWED.cutNs) continue;
    }
    const how = cut ? ' after its connection was cut' : '';
    const text = `${hold.key}: believed for ${millis(windowNs).toFixed(1)} ms in what was free${how}\n  ${hold.worker}/${hold.client}: ${hold.line}\n  freed ${freedAt}`;
    found.push({ check: 'window', at: hold.believedUntil, text });
  }
  return found;
}
