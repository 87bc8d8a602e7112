import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { LogSink } from '../../../lib/cli/log-sink.js';

/** A stream that fails, or takes nothing, as it is told to, and that lives on after errors as Node's standard streams do. */
class Disk extends Writable {
  readonly lines: string[] = [];
  mode: 'fine' | 'full' | 'throws' | 'stuck' = 'fine';
  private stuck: (() => void) | undefined;

  constructor() {
    super({ decodeStrings: false });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    done(error);
    (this as unknown as { _undestroy(): void })._undestroy();
  }

  override write(text: any, ...rest: any[]): boolean {
    if (this.mode === 'throws') throw new Error('ENOSPC');
    return super.write(text, ...(rest as []));
  }

  override _write(text: string, _encoding: string, done: (error?: Error) => void): void {
    if (this.mode === 'full') return done(new Error('ENOSPC'));
    const write = (): void => {
      this.lines.push(text);
      done();
    };
    if (this.mode === 'stuck') this.stuck = write;
    else write();
  }

  goOn(): void {
    this.mode = 'fine';
    this.stuck?.();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('the log of the command', () => {
  it.each(['full', 'throws'] as const)(
    'drops lines while the disk is %s, and says how many afterwards',
    async (mode) => {
      const disk = new Disk();
      const sink = new LogSink(disk, (count) => `lost ${count}\n`);
      sink.write('1\n');
      await settled();
      disk.mode = mode;
      for (const line of ['2\n', '3\n']) {
        sink.write(line);
        await settled();
      }
      disk.mode = 'fine';
      sink.write('4\n');
      sink.write('5\n');
      await settled();
      expect(disk.lines.slice(0, 2)).toEqual(['1\n', '4\n']);
      expect(disk.lines.slice(2).sort()).toEqual(['5\n', 'lost 2\n']);
    },
  );

  it('keeps a megabyte for a reader who stands still, drops the rest, and says how many when he reads on', async () => {
    const disk = new Disk();
    const sink = new LogSink(disk, (count) => `lost ${count}\n`);
    disk.mode = 'stuck';
    const line = `${'x'.repeat(999)}\n`;
    for (let i = 0; i < 10_000; i++) sink.write(line);
    expect(disk.writableLength).toBeLessThan(1.1e6);
    disk.goOn();
    await settled();
    const kept = disk.lines.filter((text) => text === line).length;
    expect(disk.lines.filter((text) => text !== line)).toEqual([`lost ${10_000 - kept}\n`]);
    expect(kept).toBeGreaterThan(1000);
  });
});
