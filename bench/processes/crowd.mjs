// Many callers that wait for one key.
import { answer, measured } from '../support/child.mjs';

const KEY = 'bench:crowd';

const { LockClient } = await import(process.argv[2]);
let client;
let owned;
let served;

answer({
  async open({ options }) {
    client = await LockClient.connect(options);
    owned = await client.acquire(KEY);
  },
  gather(callers) {
    served = Array.from({ length: callers }, async () =>
      (await client.acquire(KEY, { acquireTimeoutS: 600 })).release(),
    );
  },
  connections: async () => (await client.stats())[0].connections,
  /** The callers take turns. */
  serve: () =>
    measured(async () => {
      await owned.release();
      return (await Promise.all(served)).length;
    }),
});
