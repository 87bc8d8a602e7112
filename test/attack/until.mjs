import { setTimeout as pause } from 'node:timers/promises';

/** Resolves with what the condition says as soon as it says something. @param {number} [withinMs] @param {number} [everyMs] */
export async function until(condition, withinMs = 30_000, what = 'the condition', everyMs = 20) {
  const end = performance.now() + withinMs;
  for (;;) {
    const said = await condition();
    if (said) return said;
    if (performance.now() > end) throw new Error(`${what} did not come true within ${withinMs} ms`);
    await pause(everyMs);
  }
}
