import { on, EventEmitter } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { ReadableStream, TransformStream } from 'node:stream/web';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { StreamableFile } from '@nestjs/common';
import { BehaviorSubject, Observable } from 'rxjs';
import { ConfigError } from '../../../../lib/common/errors.js';
import { settlePromises } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import { World } from '../support/world.js';

let world: World;

beforeEach(() => void (world = new World()));

const endless = () => new Readable({ read() {} });

async function* steps(log: string[] = []): AsyncGenerator<number> {
  try {
    yield 1;
    yield 2;
  } finally {
    log.push('closed');
  }
}

function* syncSteps(): Generator<number> {
  yield 1;
}

const LIVE: [string, string, () => unknown][] = [
  ['an Observable', 'an Observable', () => new Observable()],
  ['a Subject', 'an Observable', () => new BehaviorSubject(1)],
  ['an async generator', 'an async generator', () => steps()],
  ['a generator', 'a generator', () => syncSteps()],
  ['an async iterator', 'an async iterator', () => on(new EventEmitter(), 'x')],
  ['a Node stream', 'a stream', endless],
  ['a duplex stream', 'a stream', () => new PassThrough()],
  ['a web stream', 'a web stream', () => new ReadableStream()],
  ['a web transform', 'a web stream', () => new TransformStream()],
  ['a StreamableFile', 'a StreamableFile', () => new StreamableFile(endless())],
];

describe.each(LIVE)('withLock with a function that returns %s', (_, kind, make) => {
  it.each<[string, (value: unknown) => unknown]>([
    ['at once', (value) => value],
    ['as a promise', async (value) => value],
  ])('is refused and frees the lock (%s)', async (_how, give) => {
    const refused = await world.client
      .withLock('a', () => give(make()))
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(refused).toBeInstanceOf(ConfigError);
    expect(refused).toMatchObject({
      key: 'a',
      message: expect.stringContaining(
        `withLock("a"): the function returned ${kind}, which would go on after the lock is released; `,
      ),
    });
    expect(world.log).toEqual(['enqueue a', 'release 1']);
  });

  it('is refused with options, several keys and a joined lock too', async () => {
    const lock = await world.client.acquire(['a', 'b']);
    const options = { onNested: lock, onLost: 'ignore' } as const;
    await expect(world.client.withLock(['b', 'a'], options, make)).rejects.toThrow(ConfigError);
    expect(await lock.release()).toBe(true);
  });
});

describe('what withLock refuses', () => {
  const refuse = async (value: unknown) => expect(world.client.withLock('a', () => value)).rejects.toThrow(ConfigError);

  it('does not stay open: streams are destroyed', async () => {
    const stream = endless();
    await refuse(stream);
    expect(stream.destroyed).toBe(true);
    const file = new StreamableFile(endless());
    await refuse(file);
    expect(file.getStream().destroyed).toBe(true);
    const canceled: unknown[] = [];
    await refuse(new ReadableStream({ cancel: () => void canceled.push('web') }));
    expect(canceled).toEqual(['web']);
  });

  it('does not stay open: a stream that fails to close, or is being read, harms nobody', async () => {
    await refuse(new Readable({ read() {}, destroy: (_error, callback) => callback(new Error('late')) }));
    const read = new ReadableStream();
    read.getReader();
    await refuse(read);
    await settlePromises();
  });

  it('does not stay open: iterators are closed', async () => {
    const log: string[] = [];
    const begun = steps(log);
    await begun.next();
    await refuse(begun);
    await until(() => log.length === 1);
    const emitter = new EventEmitter();
    await refuse(on(emitter, 'x'));
    expect(emitter.listenerCount('x')).toBe(0);
  });

  it('is nothing that has ended or that holds no work', async () => {
    const ended = Readable.from(['a']);
    await ended.toArray();
    const destroyed = endless();
    destroyed.destroy();
    const values = [
      ended,
      destroyed,
      new Writable({ write() {} }),
      new Response('body'),
      [1, 2].values(),
      new Map([[1, 2]]),
      { subscribe: () => undefined },
      { next: () => undefined },
      { async *[Symbol.asyncIterator]() {} },
      () => steps(),
      steps,
      null,
      undefined,
      'text',
      Object.create(null),
      Buffer.from('a'),
    ];
    for (const value of values) expect(await world.client.withLock('a', () => value)).toBe(value);
  });

  it('is refused for a part of a scope, whose lock is still held', async () => {
    const scope = await world.client.enter('a');
    const message = 'enter("a"): the function returned an Observable';
    expect(() => scope.run(() => new Observable())).toThrow(message);
    await expect(scope.run(async () => new Observable())).rejects.toThrow(message);
    expect([scope.run(() => 1), await scope.run(async () => 2), scope.lock.isHeld]).toEqual([1, 2, true]);
    expect(await scope.leave()).toBeUndefined();
  });

  it('leaves an error of the function alone', async () => {
    const failing = world.client.withLock('a', () => Promise.reject(new RangeError('mine')));
    await expect(failing).rejects.toThrow(RangeError);
  });
});

it('a refusal does not repeat a key of a megabyte', async () => {
  const refused = world.client.withLock('x'.repeat(1e6), () => endless());
  const { message } = (await refused.catch((error: unknown) => error)) as Error;
  expect(message).toMatch(/^withLock\("x{128}… \(1000000 characters\)"\): the function returned a stream/);
  expect(message.length).toBeLessThan(500);
});

it('the name of a lock that cannot be joined is cut as well', async () => {
  const lock = await world.client.acquire('x'.repeat(1e6));
  const refused = world.client.acquire('y'.repeat(1e6), { onNested: lock });
  expect(((await refused.catch((error: unknown) => error)) as Error).message.length).toBeLessThan(500);
});
