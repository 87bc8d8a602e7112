// The backend for Postgres by itself, without the client that keeps its locks: what the client adds is the difference.

const LEASE_MS = 30_000;

/** @param {{ postgresEntry: string, system: string, url: string, options?: object }} where also: URL of common/system.js */
export async function open({ postgresEntry, system, url, options }) {
  const [{ postgresBackend }, { systemClock, systemEntropy }] = await Promise.all([
    import(postgresEntry),
    import(system),
  ]);
  const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
  const backend = postgresBackend(url, options)(host);
  await backend.start();
  return (key, deadline) =>
    new Promise((resolve, reject) => {
      let pairs = 0;
      const waiter = {
        onPlaced: () => undefined,
        granted: (grant) => backend.release(grant, released),
        refused: reject,
      };
      const acquire = () => {
        const request = { key, kind: 'lock', limit: 1, leaseMs: LEASE_MS, deadline: systemClock.now() + LEASE_MS };
        backend.enqueue(request, 'queue', waiter);
      };
      const released = (outcome) => {
        if (outcome !== 'released') return reject(outcome instanceof Error ? outcome : new Error(outcome));
        pairs++;
        if (deadline.passed) resolve(pairs);
        else acquire();
      };
      acquire();
    });
}
