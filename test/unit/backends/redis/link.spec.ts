import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Connection, ConnectionEvents, Dialer } from '../../../../lib/backends/redis/drivers/connection.js';
import { Link } from '../../../../lib/backends/redis/drivers/link.js';
import { AuthError, LockUnavailableError, type LockError } from '../../../../lib/common/errors.js';
import { nextTurn } from '../../../../lib/common/system.js';
import { FakeClock } from '../../../support/fake-clock.js';

/** A connection that does what the test says. */
class Line implements Connection {
  readonly ready: Promise<void>;
  accept!: () => void;
  refuse!: (error: Error) => void;
  readonly sent: { args: readonly string[]; answer: (reply: unknown) => void; fail: (error: Error) => void }[] = [];
  isDestroyed = false;
  endDestroy!: () => void;
  private readonly destroyed = new Promise<void>((resolve) => (this.endDestroy = resolve));

  constructor(readonly events: ConnectionEvents) {
    this.ready = new Promise((resolve, reject) => {
      this.accept = resolve;
      this.refuse = reject;
    });
  }
  call(args: readonly string[]): Promise<unknown> {
    return new Promise((answer, fail) => this.sent.push({ args, answer, fail }));
  }
  subscribe(channel: string): Promise<unknown> {
    return this.call(['SUBSCRIBE', channel]);
  }
  unsubscribe(channel: string): Promise<unknown> {
    return this.call(['UNSUBSCRIBE', channel]);
  }
  destroy(): Promise<void> {
    this.isDestroyed = true;
    return this.destroyed;
  }
}

describe('a link to Redis', () => {
  let clock: FakeClock;
  let lines: Line[];
  let said: string[];
  let unit: number;
  let prepare: (link: Link) => Promise<void>;
  let link: Link;
  let dialer: { -readonly [name in keyof Dialer]: Dialer[name] };

  beforeEach(() => {
    clock = new FakeClock();
    lines = [];
    said = [];
    unit = 0.5;
    prepare = async () => undefined;
    dialer = {
      server: 'db:1',
      keyPrefix: '',
      isSentinel: false,
      writesAtOnce: false,
      timeoutMs: 1_000,
      dial: (_role, events) => {
        const line = new Line(events);
        lines.push(line);
        return line;
      },
    };
    link = new Link(
      dialer,
      'commands',
      {
        clock,
        entropy: { unit: () => unit, fill: () => undefined },
        requestTimeoutMs: 500,
        minDelayMs: 50,
        maxDelayMs: 400,
        watch: false,
      },
      {
        up: () => said.push('up'),
        down: (error) => said.push(`down: ${error.message}`),
        message: (channel, text) => said.push(`${channel}: ${text}`),
        invalidated: () => said.push('invalidated'),
      },
      (self) => prepare(self),
    );
  });

  const last = (): Line => lines.at(-1)!;
  const open = async (): Promise<Line> => {
    const opened = link.opened();
    last().accept();
    await opened;
    return last();
  };
  const failure = (promise: Promise<unknown>): Promise<LockError> =>
    promise.then(
      () => Promise.reject(new Error('it was answered')),
      (error: LockError) => error,
    );

  it('is up when the server has accepted it and what is prepared is done', async () => {
    prepare = async (self) => void (await self.call(['INFO']));
    const opened = link.opened();
    last().accept();
    await nextTurn();
    expect(said).toEqual([]);
    last().sent[0]!.answer('ok');
    await opened;
    expect(said).toEqual(['up']);
    expect(link.isUp).toBe(true);
    expect(link.connections).toBe(1);
  });

  it('refuses at once what is asked while there is no connection', async () => {
    expect(await failure(link.call(['X']))).toBeInstanceOf(LockUnavailableError);
    const opened = failure(link.opened());
    last().refuse(new Error('connect ECONNREFUSED'));
    expect((await opened).message).toContain('ECONNREFUSED');
    expect((await failure(link.call(['X']))).message).toContain('ECONNREFUSED');
    expect((await failure(link.opened())).message).toContain('ECONNREFUSED');
  });

  it('tries again after delays of full jitter below a bound that doubles up to its greatest', async () => {
    const delays: number[] = [];
    link.opened().catch(() => undefined);
    for (let attempt = 1; attempt <= 6; attempt++) {
      last().refuse(new Error('connect ECONNREFUSED'));
      await nextTurn();
      const since = clock.now();
      while (lines.length === attempt) clock.advance(1);
      delays.push(clock.now() - since);
    }
    expect(delays).toEqual([25, 50, 100, 200, 200, 200]);
    last().accept();
    await nextTurn();
    unit = 1;
    last().events.closed(new Error('Socket closed unexpectedly'));
    const since = clock.now();
    while (lines.length === 7) clock.advance(1);
    expect(clock.now() - since).toBe(50);
  });

  it('gives an attempt up after the connect timeout', async () => {
    const opened = failure(link.opened());
    clock.advance(999);
    expect(last().isDestroyed).toBe(false);
    clock.advance(1);
    expect((await opened).message).toContain('no connection within 1000 ms');
    expect(lines[0]!.isDestroyed).toBe(true);
  });

  it('gives an attempt up whose preparation is not answered', async () => {
    prepare = async (self) => void (await self.call(['INFO']));
    const opened = failure(link.opened());
    last().accept();
    await nextTurn();
    clock.advance(1_000);
    expect((await opened).message).toContain('no connection within 1000 ms');
    clock.advance(400);
    expect(lines).toHaveLength(2);
  });

  it('fails all that is open when the connection is lost, and says so once', async () => {
    const line = await open();
    const open1 = failure(link.call(['A']));
    const open2 = failure(link.subscribe('c', false));
    line.events.closed(new Error('Socket closed unexpectedly'));
    line.events.closed(new Error('again'));
    expect((await open1).message).toContain('Socket closed unexpectedly');
    expect(await open2).toBe(await open1);
    expect(said).toEqual(['up', expect.stringContaining('down: ')]);
    expect(line.isDestroyed).toBe(true);
  });

  it('hears nothing more of a connection that it has dropped', async () => {
    const line = await open();
    const call = failure(link.call(['A']));
    link.kick();
    await call;
    line.sent[0]!.answer('late');
    line.events.message('c', 'late');
    line.events.invalidated(null);
    line.events.closed(new Error('late'));
    expect(said).toHaveLength(2);
    clock.advance(0);
    await nextTurn();
    clock.advance(1);
    last().accept();
    await nextTurn();
    line.events.closed(new Error('late'));
    expect(link.isUp).toBe(true);
  });

  it('drops a server that answers nothing for the request timeout, and connects at once', async () => {
    const line = await open();
    const call = failure(link.call(['A']));
    clock.advance(499);
    expect(line.isDestroyed).toBe(false);
    clock.advance(1);
    await nextTurn();
    expect((await call).message).toContain('no answer for 500 ms');
    clock.advance(1);
    expect(lines).toHaveLength(2);
  });

  it('has patience with a server that answers each request in time, although it never answers all of them', async () => {
    const line = await open();
    const calls = [link.call(['0'])];
    for (let i = 1; i <= 10; i++) {
      clock.advance(160);
      calls.push(link.call([`${i}`]));
      clock.advance(160);
      line.sent[i - 1]!.answer(i - 1);
      await nextTurn();
    }
    line.sent[10]!.answer(10);
    expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    clock.advance(10_000);
    expect(line.isDestroyed).toBe(false);
  });

  it('fails a request without an answer after the request timeout, although others were answered before it', async () => {
    const line = await open();
    const [first, second] = [link.call(['A']), link.call(['B'])];
    const third = failure(link.call(['C']));
    clock.advance(300);
    line.sent[0]!.answer(1);
    await nextTurn();
    clock.advance(199);
    line.sent[1]!.answer(2);
    await nextTurn();
    expect(line.isDestroyed).toBe(false);
    clock.advance(1);
    await nextTurn();
    expect(await Promise.all([first, second])).toEqual([1, 2]);
    expect((await third).message).toContain('no answer for 500 ms');
    expect(line.isDestroyed).toBe(true);
  });

  it('reads what has arrived before it fails a request: the process may have been stopped', async () => {
    const line = await open();
    const call = link.call(['A']);
    // The answer is in the socket when the process goes on.
    clock.afterPoll = (fn) => {
      line.sent[0]!.answer('in time');
      setImmediate(fn);
    };
    clock.advance(5_000);
    expect(await call).toBe('in time');
    await nextTurn();
    expect(line.isDestroyed).toBe(false);
  });

  it('looks again when the next request would be late', async () => {
    const line = await open();
    const first = link.call(['A']);
    clock.advance(200);
    const second = failure(link.call(['B']));
    clock.advance(200);
    line.sent[0]!.answer(1);
    expect(await first).toBe(1);
    clock.advance(299);
    expect(line.isDestroyed).toBe(false);
    clock.advance(1);
    expect((await second).message).toContain('no answer for 500 ms');
  });

  it('has patience with what was sent later, where the answer to the oldest arrives at the last moment', async () => {
    const line = await open();
    const first = link.call(['A']);
    clock.advance(400);
    const second = link.call(['B']);
    clock.afterPoll = (fn) => {
      line.sent[0]!.answer(1);
      setImmediate(fn);
    };
    clock.advance(100);
    expect(await first).toBe(1);
    await nextTurn();
    expect(line.isDestroyed).toBe(false);
    line.sent[1]!.answer(2);
    expect(await second).toBe(2);
  });

  it('tries again where not even an attempt can be made', async () => {
    const { dial } = dialer;
    dialer.dial = () => {
      throw new Error('no such option');
    };
    expect((await failure(link.opened())).message).toContain('no such option');
    dialer.dial = dial;
    clock.advance(50);
    expect(lines).toHaveLength(1);
  });

  it('takes no request while it is being made, and no word from a connection that is given up', async () => {
    const opened = failure(link.opened());
    expect((await failure(link.call(['A']))).message).toContain('not connected');
    link.unsubscribe('c', false);
    expect(last().sent).toEqual([]);
    clock.advance(1_000);
    await opened;
    lines[0]!.accept();
    await nextTurn();
    expect(said).toEqual([expect.stringContaining('down')]);
  });

  it('takes what is refused to a client that is connected for final', async () => {
    const line = await open();
    const refused = failure(link.call(['A']));
    line.sent[0]!.fail(new Error("NOPERM this user has no permissions to run the 'a' command"));
    expect(await refused).toMatchObject({ code: 'CONFIG', isTransient: false });
  });

  it('says why it was dropped or closed', async () => {
    const line = await open();
    const dropped = failure(link.call(['A']));
    link.kick();
    expect((await dropped).message).toContain('the connection was dropped');
    line.endDestroy();
    expect(link.isClosed).toBe(false);
    await link.close();
    expect(link.isClosed).toBe(true);
    expect((await failure(link.opened())).message).toContain('the connection is closed');
  });

  it('waits longer and longer where dropping the connection does not help, until one lasts', async () => {
    unit = 1;
    await open();
    const delays: number[] = [];
    for (let i = 0; i < 6; i++) {
      const count = lines.length;
      link.kick();
      let waited = 0;
      for (; lines.length === count; waited++) {
        clock.advance(waited === 0 ? 0 : 1);
        await nextTurn();
      }
      delays.push(waited - 1);
      last().accept();
      await nextTurn();
    }
    expect(delays.map((delay) => Math.round(delay / 50) * 50)).toEqual([0, 50, 100, 200, 400, 400]);
    clock.advance(400);
    const count = lines.length;
    link.kick();
    clock.advance(1);
    await nextTurn();
    expect(lines).toHaveLength(count + 1);
  });

  it('kicks no connection that is being made', async () => {
    link.opened().catch(() => undefined);
    link.kick();
    expect(lines).toHaveLength(1);
    expect(last().isDestroyed).toBe(false);
  });

  it('takes a refusal for final before the server has ever accepted it, and for transient after', async () => {
    const first = failure(link.opened());
    last().refuse(new Error('WRONGPASS no'));
    expect(await first).toBeInstanceOf(AuthError);
    expect((await first).isTransient).toBe(false);
    clock.advance(50);
    await open();
    last().events.closed(new Error('Socket closed unexpectedly'));
    clock.advance(50);
    const again = failure(link.opened());
    last().refuse(new Error('WRONGPASS no'));
    expect((await again).isTransient).toBe(true);
  });

  it('is closed when no socket is left, and connects no more', async () => {
    const line = await open();
    const call = failure(link.call(['A']));
    let isClosed = false;
    const closing = link.close().then(() => (isClosed = true));
    await call;
    await nextTurn();
    expect(isClosed).toBe(false);
    line.endDestroy();
    await closing;
    clock.advance(60_000);
    expect(lines).toHaveLength(1);
    expect(await failure(link.opened())).toBeInstanceOf(LockUnavailableError);
    expect(said).toEqual(['up']);
  });

  it('connects no more where it is closed between two attempts', async () => {
    link.opened().catch(() => undefined);
    last().refuse(new Error('connect ECONNREFUSED'));
    last().endDestroy();
    await nextTurn();
    await link.close();
    clock.advance(60_000);
    expect(lines).toHaveLength(1);
  });
});
