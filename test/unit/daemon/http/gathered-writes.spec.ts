import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { GatheredWrites } from '../../../../lib/daemon/http/exchange/gathered-writes.js';

type Done = (error?: Error | null) => void;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A socket whose kernel notes what it is handed. */
class FakeSocket extends Duplex {
  readonly handed: string[] = [];
  /** Whether the kernel takes nothing until it is told to. */
  isFull = false;
  private untaken: Done[] = [];

  constructor() {
    super({ decodeStrings: false });
    this.on('error', () => undefined);
  }

  override _read(): void {
    // Nothing comes.
  }

  override _writev(chunks: { chunk: Buffer | string; encoding: BufferEncoding }[], done: Done): void {
    this.handed.push(chunks.map(({ chunk }) => chunk.toString('latin1')).join(''));
    if (this.isFull) this.untaken.push(done);
    else done();
  }

  override _final(done: Done): void {
    this.handed.push('end');
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.handed.push('closed');
    done(error);
  }

  free(error?: Error): void {
    for (const done of this.untaken.splice(0)) done(error);
  }
}

describe('writes that are gathered', () => {
  function scene() {
    const socket = new FakeSocket();
    const writes = new GatheredWrites(socket as unknown as Socket);
    const written: string[] = [];
    /** As Node writes the answers to pipelined requests: in parts, and each when the one before is written. */
    const answer = (...texts: string[]): void => {
      const [text, ...others] = texts;
      if (text === undefined) return;
      socket.cork();
      socket.write(text, 'latin1');
      socket.write('', 'latin1', () => {
        written.push(text);
        answer(...others);
      });
      socket.uncork();
    };
    return { socket, writes, written, answer };
  }

  it('go to the kernel together when they follow one another, in their order, in the same turn', async () => {
    const { socket, written, answer } = scene();
    answer('a', 'b', 'c');
    expect(socket.handed).toEqual([]);
    await nextTurn();
    expect([socket.handed, written]).toEqual([['abc'], ['a', 'b', 'c']]);
    socket.write('d', 'latin1');
    socket.write(Buffer.from('e'));
    await nextTurn();
    expect(socket.handed).toEqual(['abc', 'de']);
  });

  it('go to the kernel at once when they are long', async () => {
    const { socket, answer } = scene();
    answer('x'.repeat(40_000), 'y'.repeat(40_000), 'z');
    await nextTurn();
    expect(socket.handed.map(({ length }) => length)).toEqual([80_000, 1]);
  });

  it('wait for a kernel that has not taken the last, and count against the buffer of the socket meanwhile', async () => {
    const { socket, written, answer } = scene();
    socket.isFull = true;
    answer('a', 'b');
    await nextTurn();
    answer('c', 'd');
    socket.write('e'.repeat(100_000), 'latin1');
    await nextTurn();
    expect([socket.handed, written]).toEqual([['ab'], ['a', 'b']]);
    expect([socket.writableLength, socket.writableNeedDrain]).toEqual([100_001, true]);
    socket.free();
    await nextTurn();
    expect(socket.handed.join('')).toBe(`abc${'e'.repeat(100_000)}`);
    socket.free();
    await nextTurn();
    socket.free();
    await nextTurn();
    expect(socket.handed.at(-1)).toBe('d');
    expect(socket.writableLength).toBe(0);
  });

  it('go to the kernel before the socket is ended or destroyed', async () => {
    const ended = scene();
    ended.answer('a');
    ended.socket.end('b', 'latin1');
    await nextTurn();
    expect(ended.socket.handed.slice(0, 2)).toEqual(['ab', 'end']);
    const destroyed = scene();
    destroyed.answer('a');
    destroyed.socket.destroy();
    await nextTurn();
    expect(destroyed.socket.handed).toEqual(['a', 'closed']);
  });

  it('tell the kernel of the end when it has taken them: until then, the socket can be reset', async () => {
    const { socket, writes, answer } = scene();
    socket.isFull = true;
    answer('a');
    expect(writes.isWaiting).toBe(false);
    socket.end();
    await nextTurn();
    expect([socket.handed, writes.isWaiting, socket.writableLength]).toEqual([['a'], true, 0]);
    socket.free();
    expect([socket.handed, writes.isWaiting]).toEqual([['a', 'end'], false]);
  });

  it('destroy the socket when the kernel refuses them', async () => {
    const { socket, answer } = scene();
    socket.isFull = true;
    answer('a');
    await nextTurn();
    socket.free(new Error('EPIPE'));
    expect(socket.destroyed).toBe(true);
  });

  it('count as written when the kernel has taken them, once they are no longer gathered', async () => {
    const { socket, writes, written, answer } = scene();
    answer('a');
    writes.stop();
    expect(socket.handed).toEqual(['a']);
    socket.isFull = true;
    answer('b', 'c');
    await nextTurn();
    expect([socket.handed, written]).toEqual([['a', 'b'], ['a']]);
    socket.free();
    await nextTurn();
    expect([socket.handed, written]).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b'],
    ]);
  });
});
