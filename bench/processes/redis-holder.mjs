// Holds many locks on Redis, or waits for many.
import { answer, measured } from '../support/child.mjs';

const AT_ONCE = 1000;
const PATIENCE_S = 3600;

const { backendOf, connect } = await import(process.argv[2]);
let client;
const held = [];
let lost = 0;

const keysOf = (locks) => Array.from({ length: locks }, (_, i) => `bench:held:${String(i).padStart(6, '0')}`);

/** As many at once as a client renews in one turn. */
async function inPortions(items, fn) {
  const results = [];
  for (let i = 0; i < items.length; i += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(i, i + AT_ONCE).map(fn))));
  }
  return results;
}

answer({
  async open(where) {
    client = await connect(where);
    client.lockLost$.subscribe(() => lost++);
  },
  /** Acquires so many locks, which are renewed from then on. */
  async hold({ locks, leaseTtlS }) {
    held.push(...(await inPortions(keysOf(locks), (key) => client.acquire(key, { leaseTtlS }))));
  },
  /** Acquires so many locks from the backend by itself, and renews all of them once. */
  async renewAll({ locks, leaseMs, ...where }) {
    const { backend, clock } = await backendOf(where);
    const grants = await inPortions(keysOf(locks), (key) =>
      backend.tryAcquire({ key, kind: 'lock', limit: 1, leaseMs, deadline: clock.now() }),
    );
    const renewed = (portion) =>
      new Promise((resolve, reject) => {
        let left = portion.length;
        const answered = () => --left === 0 && resolve();
        backend.renewAll(portion.map((grant) => ({ grant, leaseMs, renewed: answered, failed: reject })));
      });
    const renew = async () => {
      for (let i = 0; i < grants.length; i += AT_ONCE) await renewed(grants.slice(i, i + AT_ONCE));
      return grants.length;
    };
    // Twice before, so that the code is compiled.
    for (let i = 0; i < 2; i++) await renew();
    const figures = await measured(renew);
    await backend.close(0);
    return figures;
  },
  held: () => ({ held: held.filter((lock) => lock.isHeld).length, lost }),
  /** Waits for the locks of another process. */
  wait({ locks }) {
    for (const key of keysOf(locks)) void client.acquire(key, { acquireTimeoutS: PATIENCE_S });
  },
});
