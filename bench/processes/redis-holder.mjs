// Holds many locks on Redis, or waits for many.
import { answer } from '../support/child.mjs';

const AT_ONCE = 1000;
const PATIENCE_S = 3600;

const { connect } = await import(process.argv[2]);
let client;
const held = [];
let lost = 0;

const keysOf = (locks) => Array.from({ length: locks }, (_, i) => `bench:held:${String(i).padStart(6, '0')}`);

answer({
  async open(where) {
    client = await connect(where);
    client.lockLost$.subscribe(() => lost++);
  },
  /** Acquires so many locks, which are renewed from then on. */
  async hold({ locks, leaseTtlS }) {
    const keys = keysOf(locks);
    for (let i = 0; i < locks; i += AT_ONCE) {
      const portion = keys.slice(i, i + AT_ONCE);
      held.push(...(await Promise.all(portion.map((key) => client.acquire(key, { leaseTtlS })))));
    }
  },
  held: () => ({ held: held.filter((lock) => lock.isHeld).length, lost }),
  /** Waits for the locks of another process. */
  wait({ locks }) {
    for (const key of keysOf(locks)) void client.acquire(key, { acquireTimeoutS: PATIENCE_S });
  },
});
