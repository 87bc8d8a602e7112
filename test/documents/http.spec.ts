import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DflockdServer } from '../../lib/entries/daemon.js';
import { freePort } from '../support/free-port.mjs';
import { type Block, blocksOf, nameOf } from './pages.js';

const blocks = blocksOf('docs/http.md');

/** The blocks with this note, and what the page says they print. */
const examples = (note: string): { block: Block; printed: string }[] =>
  blocks.flatMap((block, i) => (block.note === note ? [{ block, printed: blocks[i + 1]!.code }] : []));

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
/** A token stands on the page as an ellipsis. */
const pattern = (printed: string): RegExp => new RegExp(`^${escaped(printed).replaceAll('…', '[0-9a-f]{32}')}$`);

/** Runs all of them in one shell, and returns what each has printed. Only the port is another. */
async function runAll(code: readonly string[], port: number, folder: string): Promise<string[]> {
  const script = ['set -eo pipefail', ...code.map((each) => `${each}\nprintf '\\f'`)].join('\n');
  const { stdout } = await promisify(execFile)(
    'bash',
    ['-c', script.replaceAll('localhost:6389', `127.0.0.1:${port}`)],
    {
      cwd: folder,
      timeout: 60_000,
    },
  );
  return stdout.split('\f').slice(0, -1);
}

describe.each([
  ['without a token', 'run', undefined],
  ['with a token', 'run with a token', 'secret'],
])('the curl lines of docs/http.md, on a daemon %s', (_, note, authToken) => {
  const shown = examples(note);
  let server: DflockdServer;
  let folder: string;
  let printed: string[];

  beforeAll(async () => {
    const httpPort = await freePort();
    folder = mkdtempSync(join(tmpdir(), 'http-'));
    server = new DflockdServer({ port: 0, httpPort, authToken });
    await server.listen();
    printed = await runAll(
      shown.map(({ block }) => block.code),
      httpPort,
      folder,
    );
  }, 90_000);
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  it.each(shown.map(({ block, printed: page }, i) => [nameOf(block), page, i] as const))(
    'print at %s what the page says',
    (__, page, i) => expect(printed[i]).toMatch(pattern(page)),
  );

  it('are there', () => expect(shown.length).toBeGreaterThan(0));
});
