// A copy of lib and its tests, in which texts of lib are replaced, and runs of jest in it.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Tests that need a server ask the scripts where it is. */
const PARTS = ['lib', 'test', 'scripts', 'jest.config.mjs', 'package.json'];
const JEST = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

export class Tree {
  #folder = mkdtempSync(join(tmpdir(), 'dflockd-tree-'));

  constructor() {
    for (const part of PARTS) cpSync(join(root, part), join(this.#folder, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  /** Runs the tests with these names, in one process for all specs; returns how many passed and failed, and all results. */
  async run(specs, names) {
    const report = join(this.#folder, 'report.json');
    const pattern = names.map(escaped).join('|');
    // A test that fails may leave something open.
    const args = [
      ...JEST,
      '-w',
      '1',
      '--forceExit',
      '--json',
      `--outputFile=${report}`,
      '-t',
      pattern,
      ...new Set(specs),
    ];
    const jest = spawn(process.execPath, args, { cwd: this.#folder, stdio: 'ignore' });
    await new Promise((resolve) => jest.on('close', resolve));
    const {
      numPassedTests: passed,
      numFailedTests: failed,
      testResults: results,
    } = JSON.parse(readFileSync(report, 'utf8'));
    rmSync(report);
    return { passed, failed, results };
  }

  /** Runs the tests of `spec` whose names contain `test` with `to` instead of `from` in a file of lib, and returns the outcome. */
  async runWith({ file, from, to, spec, test }) {
    const path = join(this.#folder, 'lib', file);
    const text = readFileSync(path, 'utf8');
    if (text.split(from).length !== 2) throw new Error(`lib/${file} has not exactly one "${from}"`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
    try {
      return await this.run([spec], [test]);
    } finally {
      writeFileSync(path, text);
    }
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
