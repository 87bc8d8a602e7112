import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for a script
import { run } from '../../scripts/samples/run.mjs';
import { until } from '../support/until.js';

describe('a sample', () => {
  let folder: string;

  /** Makes a sample whose program is this. */
  const sampleOf = (main: string): void => {
    mkdirSync(join(folder, 'dist'));
    writeFileSync(join(folder, 'dist/main.js'), main);
  };

  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'sample-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('that Ctrl-C ends has not failed, although the signal ends it as Nest does', async () => {
    const ready = join(folder, 'ready');
    sampleOf(`
      process.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
      require('node:fs').writeFileSync(${JSON.stringify(ready)}, '');
      setInterval(() => {}, 1000);`);
    const ended = run(folder, false);
    await until(() => existsSync(ready));
    process.emit('SIGINT');
    expect(await ended).toBe(true);
  });

  it('that ends by itself with an error has failed', async () => {
    sampleOf('process.exit(1)');
    expect(await run(folder, false)).toBe(false);
  });
});
