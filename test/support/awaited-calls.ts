/**
 * Programs whose only reason to live is the call that they await: Node ends a process, with exit code 13, when nothing keeps it alive in
 * the middle of a top-level await.
 */

/** The calls, each of which is awaited on a client that has just been started. Other processes may use the same server. */
const CALLS = `
  const key = (name) => 'exit-' + process.pid + '-' + name;
  const held = (client, more) => client.acquire(key('held'), more);
  const CALLS = {
    ping: (client) => client.ping(),
    stats: (client) => client.stats(),
    isLocked: (client) => client.isLocked(key('none')),
    'isLocked, a semaphore': (client) => client.isLocked(key('none'), { limit: 2 }),
    tryAcquire: async (client) => (await client.tryAcquire(key('try'))).release(),
    acquire: async (client) => (await client.acquire(key('a'))).release(),
    'acquire, a semaphore': async (client) => (await client.acquire(key('b'), { limit: 2 })).release(),
    'acquire, two keys': async (client) => (await client.acquire([key('c'), key('d')])).release(),
    'acquire, in vain': async (client) => {
      const lock = await held(client);
      await client.acquire(key('held'), { acquireTimeoutS: 0.05 }).catch(({ code }) => code);
      await lock.release();
    },
    'acquire, after another': async (client) => {
      const lock = await held(client);
      const next = client.acquire(key('held'), { acquireTimeoutS: 20 });
      await lock.release();
      await (await next).release();
    },
    renew: async (client) => {
      const lock = await held(client);
      await lock.renew();
      await lock.renew(60);
      await lock.release();
    },
    withLock: (client) => client.withLock(key('e'), () => undefined),
    minHoldS: (client) => client.withLock(key('kept'), { minHoldS: 0.01 }, () => undefined),
    'a ticket': async (client) => {
      const ticket = client.enqueue(key('f'));
      await ticket.placed;
      await (await ticket.wait(5)).release();
    },
    'a ticket that is cancelled': async (client) => {
      const lock = await held(client);
      const ticket = client.enqueue(key('held'));
      await ticket.placed;
      await ticket.cancel();
      await lock.release();
    },
    'a ticket of a semaphore': async (client) => {
      const ticket = client.enqueue(key('g'), { limit: 2 });
      await ticket.placed;
      await (await ticket.wait(5)).release();
    },
    emit: (client) => client.signals.emit('exit', 'payload').catch(({ code }) => code),
    'close, with a lock': async (client) => void (await held(client)),
  };
`;

/**
 * Awaits all calls, one after the other.
 * @param options an expression for those of a client
 */
export const awaitAll = (options: string): string => `
  ${CALLS}
  for (const [name, call] of Object.entries(CALLS)) {
    console.log(name);
    const client = new LockClient(${options});
    await client.start();
    await call(client);
    await client.close();
  }
  console.log('that is all');
`;

/**
 * The same without a server: every call fails, or goes on until it is given up.
 * @param options an expression for those of a client that reaches nobody
 */
export const awaitAllInVain = (options: string): string => `
  const outcome = (promise) => promise.then(() => 'answered', (error) => error.code ?? String(error));
  for (const startup of ['connect', 'lazy', 'require']) {
    const client = new LockClient({ ...${options}, startup });
    const say = async (name, promise) => console.log(startup + ', ' + name + ': ' + (await outcome(promise)));
    await say('start', client.start());
    await say('ping', client.ping());
    await say('stats', client.stats());
    await say('isLocked', client.isLocked('exit-none'));
    await say('tryAcquire', client.tryAcquire('exit-try'));
    await say('acquire', client.acquire('exit-a', { acquireTimeoutS: 0.2 }));
    if (startup !== 'require') {
      const ticket = client.enqueue('exit-f');
      // Only whoever waits for the ticket keeps the process alive.
      setTimeout(() => ticket.cancel(), 100).unref();
      await say('a ticket', ticket.placed);
    }
    await say('close', client.close());
  }
  console.log('that is all');
`;
