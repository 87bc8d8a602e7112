// Holds many locks through this package's client.
import { answer } from '../support/child.mjs';

const AT_ONCE = 1000;

const { LockClient } = await import(process.argv[2]);
let client;
const held = [];
let lost = 0;

answer({
  async open({ options }) {
    client = await LockClient.connect(options);
    client.lockLost$.subscribe(() => lost++);
  },
  /** Acquires that many locks, which are renewed from then on. */
  async hold({ locks, leaseTtlS }) {
    const keys = Array.from({ length: locks }, (_, i) => `bench:held:${String(i).padStart(6, '0')}`);
    for (let i = 0; i < locks; i += AT_ONCE) {
      const portion = keys.slice(i, i + AT_ONCE);
      held.push(...(await Promise.all(portion.map((key) => client.acquire(key, { leaseTtlS })))));
    }
  },
  held: () => ({ held: held.filter((lock) => lock.isHeld).length, lost }),
});
