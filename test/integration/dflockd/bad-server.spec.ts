import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { LockError } from '../../../lib/common/errors.js';
import type { LockLostEvent } from '../../../lib/locks/events/events.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { stopwatch } from '../../support/stopwatch.js';
import { inTime, until } from '../../support/until.js';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  // Servers first: clients would wait for answers.
  for (const close of closers.splice(0)) await close();
});

/** What a server says to a request, given its command word and how many came before on this connection. */
type Answer = (socket: Socket, command: string, before: number) => void;

const GRANT = `ok ${'0123456789abcdef'.repeat(2)} 33\n`;

/** A server that answers each request as it is told to. Its port. */
async function server(answer: Answer, greet?: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    let text = '';
    let count = 0;
    socket.on('data', (chunk) => {
      const lines = (text + chunk.toString('latin1')).split('\n');
      while (lines.length > 3) answer(socket, lines.splice(0, 3)[0]!, count++);
      text = lines.join('\n');
    });
    greet?.(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  });
  return (listener.address() as AddressInfo).port;
}

async function clientOf(port: number): Promise<LockClient> {
  const client = await LockClient.connect({
    servers: [`127.0.0.1:${port}`],
    remote: { requestTimeoutMs: 200, connectTimeoutMs: 200, readTimeoutS: 1, reconnect: { minDelayMs: 5 } },
    shutdownTimeoutS: 0.05,
  });
  closers.push(() => client.close());
  return client;
}

/** An acquire that must fail in a way that callers can understand, and in time. */
async function expectTypedError(client: LockClient): Promise<void> {
  const took = stopwatch();
  const error = await inTime(
    client.acquire('key', { acquireTimeoutS: 0.5 }).catch((e: unknown) => e),
    'the error',
  );
  expect(took()).toBeLessThan(1000);
  expect(error).toBeInstanceOf(LockError);
  const tried = await inTime(
    client.tryAcquire('key').catch((e: unknown) => e),
    'the error of the try',
  );
  expect(tried).toBeInstanceOf(LockError);
}

const say =
  (text: string): Answer =>
  (socket) =>
    void socket.write(text, 'latin1');

const BAD: readonly { is: string; answer: Answer; greet?: (socket: Socket) => void }[] = [
  { is: 'talks nonsense', answer: say('banana\n') },
  { is: 'answers with bytes that are no text', answer: say('\xff\x00\xfe\n') },
  { is: 'answers without a token', answer: say('ok\n') },
  { is: 'answers as to another request', answer: say('ok 33\n') },
  { is: 'answers with a lease that is none', answer: say(`ok ${'0'.repeat(32)} x\n`) },
  { is: 'answers twice', answer: say('error\nerror\n') },
  { is: 'speaks unasked', answer: say('ok\n'), greet: (socket) => void socket.write('ok\n') },
  { is: 'accepts and says nothing', answer: () => undefined },
  { is: 'closes at once', answer: (socket) => void socket.end(), greet: (socket) => void socket.end() },
  { is: 'resets', answer: (socket) => void socket.resetAndDestroy() },
];

describe('a server that', () => {
  it(`${BAD.map(({ is }) => is).join(', ')}: callers get a typed error by their deadline`, async () => {
    const all = BAD.map(async ({ is, answer, greet }) => {
      try {
        await expectTypedError(await clientOf(await server(answer, greet)));
      } catch (error) {
        throw new Error(`who ${is}: ${(error as Error).message}`, { cause: error });
      }
    });
    await Promise.all(all);
  });

  it.each<[string, Answer]>([
    ['talks nonsense', say('banana\n')],
    ['answers twice', say('error\nerror\n')],
    ['closes', (socket) => void socket.end()],
    ['says nothing', () => undefined],
  ])('%s after it has granted: the holder is told', async (_, then) => {
    const port = await server((socket, command, before) => {
      if (command === 'ping' && before === 0) socket.write('ok\n');
      else if (command === 'l' && before <= 2) socket.write(GRANT);
      else then(socket, command, before);
    });
    const client = await clientOf(port);
    const lost: LockLostEvent[] = [];
    client.lockLost$.subscribe((event) => lost.push(event));
    const lock = await client.acquire('key');
    await until(() => lost.length > 0, 'the loss');
    expect(lock.isHeld).toBe(false);
    expect(lost[0]).toMatchObject({ keys: ['key'], reason: expect.stringMatching(/disconnected|expired/) });
  });
});
