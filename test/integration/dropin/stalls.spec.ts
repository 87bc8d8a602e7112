import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CompiledLib } from '../../support/compiled-lib.js';

/** A process that cannot run until long after a lease of a second, which others may have had meanwhile. */
const PROGRAM = `
  const { DistributedLock } = await ROOM('dropin/dflockd-client/distributed-lock.js');
  const { DistributedSemaphore } = await ROOM('dropin/dflockd-client/distributed-semaphore.js');
  const functions = await ROOM('dropin/dflockd-client/functions.js');
  const { connect } = await import('node:net');
  const { once } = await import('node:events');
  const stall = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const servers = [['127.0.0.1', PORT]];
  const socket = async () => {
    const sock = connect({ port: PORT, host: '127.0.0.1', noDelay: true });
    await once(sock, 'connect');
    return sock;
  };
  /** Somebody in another process, who takes the lock as soon as it is free. */
  const { spawn } = await import('node:child_process');
  const takes = (line) => spawn(process.execPath, ['-e', \`
    const sock = require('node:net').connect(\${PORT}, '127.0.0.1');
    sock.write(\${JSON.stringify(line)});
    sock.on('data', (text) => console.log(String(text)));
  \`], { stdio: ['ignore', 'pipe', 'inherit'] });
`;

describe('a grant that lay unread until its lease was over, because the process stalled', () => {
  let lib: CompiledLib;
  let port: number;
  let keys = 0;
  beforeAll(async () => {
    lib = await CompiledLib.make();
    port = await lib.daemon({ leaseSweepInterval: 0.1 });
  }, 30_000);
  afterAll(() => lib.remove());

  /** Runs a program whose key is KEY; they share a daemon. */
  const run = async (leaseS: number, body: string): Promise<unknown> => {
    const program = `${PROGRAM.replaceAll('PORT', String(port))}\n${body.replaceAll('KEY', `key-${++keys}`)}`;
    const { code, out } = await lib.run(`const LEASE_S = ${leaseS};\n${program}\nprocess.exit();`, 25_000);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^\{.*\}\n$/) });
    return JSON.parse(out);
  };

  /** How each way to a lock begins, until its grant is on its way, and what it says in the end. */
  const WAYS: [name: string, prefix: string, begin: string][] = [
    [
      'acquire() of a lock that is free',
      '',
      `const lock = new DistributedLock({ key: 'KEY', servers, leaseTtlS: LEASE_S, acquireTimeoutS: 0 });
       const asked = lock.acquire();
       // The request has been written when the connection is made.
       await once(lock.sock, 'connect');
       await null;`,
    ],
    [
      'acquire() of a lock that is waited for',
      '',
      `const holder = new DistributedLock({ key: 'KEY', servers });
       await holder.acquire();
       const lock = new DistributedLock({ key: 'KEY', servers, leaseTtlS: LEASE_S, acquireTimeoutS: 2 });
       const asked = lock.acquire();
       await pause(200);
       void holder.release();`,
    ],
    [
      'wait()',
      '',
      `const holder = new DistributedLock({ key: 'KEY', servers });
       await holder.acquire();
       const lock = new DistributedLock({ key: 'KEY', servers, leaseTtlS: LEASE_S });
       await lock.enqueue();
       const asked = lock.wait(2);
       await pause(200);
       void holder.release();`,
    ],
    [
      'wait() after enqueue() had brought the lock',
      '',
      `const lock = new DistributedLock({ key: 'KEY', servers, leaseTtlS: LEASE_S });
       await lock.enqueue();
       const asked = pause(0).then(() => lock.wait(2)).catch(() => false);`,
    ],
    [
      'acquire() of a semaphore',
      's',
      `const lock = new DistributedSemaphore({ key: 'KEY', limit: 1, servers, leaseTtlS: LEASE_S, acquireTimeoutS: 0 });
       const asked = lock.acquire();
       await once(lock.sock, 'connect');
       await null;`,
    ],
    [
      'the function acquire',
      '',
      `const asked = functions.acquire(await socket(), 'KEY', 0, LEASE_S).then(() => true, () => false);`,
    ],
    [
      'the function semAcquire',
      's',
      `const asked = functions.semAcquire(await socket(), 'KEY', 0, 1, LEASE_S).then(() => true, () => false);`,
    ],
    [
      'the function enqueue',
      '',
      `const asked = functions.enqueue(await socket(), 'KEY', LEASE_S).then(({ status }) => status === 'acquired', () => false);`,
    ],
    [
      'the function waitForLock',
      '',
      `const [first, second] = [await socket(), await socket()];
       const { token } = await functions.acquire(first, 'KEY', 0);
       await functions.enqueue(second, 'KEY', LEASE_S);
       const asked = functions.waitForLock(second, 'KEY', 5).then(() => true, () => false);
       await pause(200);
       void functions.release(first, 'KEY', token);`,
    ],
  ];

  it.concurrent.each(WAYS)(
    'is not handed over where somebody else has the lock by then: %s',
    async (_, prefix, begin) => {
      const line = prefix === 's' ? 'sl\\nKEY\\n20 1 60\\n' : 'l\\nKEY\\n20 60\\n';
      const said = await run(
        1,
        `${begin}
       const other = takes('${line}');
       // Until the other has asked for the lock, nothing is read here.
       stall(2_000);
       const got = await asked;
       await once(other.stdout, 'data');
       console.log(JSON.stringify({ got }));
       other.kill();`,
      );
      expect(said).toEqual({ got: false });
    },
  );

  it.concurrent.each(WAYS)('is renewed first where its lease still runs: %s', async (_, _prefix, begin) => {
    const said = await run(
      12,
      `${begin}
       stall(1_500);
       const got = await asked;
       const sock = await socket();
       sock.write('stats\\n_\\n\\n');
       const [text] = await once(sock, 'data');
       const { locks } = JSON.parse(String(text).slice(3));
       const { lease_expires_in_s: leaseS } = locks.find(({ key }) => key === 'KEY');
       console.log(JSON.stringify({ got, leaseS }));`,
    );
    expect(said).toEqual({ got: true, leaseS: expect.any(Number) });
    // What enqueue() had brought before is renewed in its time.
    if (!begin.includes('pause(0)')) expect((said as { leaseS: number }).leaseS).toBeGreaterThan(11);
  });
});
