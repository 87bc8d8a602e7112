// Compiles the framework-free half of lib and the faults lab side by side, and runs the lab.
import { transformFile } from '@swc/core';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ROOMS = ['common', 'protocol', 'core', 'client', 'daemon', 'backends', 'locks'];
const PARTS = [...ROOMS.map((room) => `lib/${room}`), 'lib/entries', 'test/support', 'test/faults'];

async function compile(folder) {
  const files = PARTS.flatMap((part) =>
    readdirSync(join(root, part), { recursive: true })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'))
      .map((name) => join(part, name)),
  );
  await Promise.all(
    files.map(async (file) => {
      const { code } = await transformFile(join(root, file), {
        jsc: { parser: { syntax: 'typescript', decorators: true }, target: 'es2022' },
        module: { type: 'es6' },
      });
      const made = join(folder, file.replace(/ts$/, 'js'));
      mkdirSync(dirname(made), { recursive: true });
      writeFileSync(made, code);
    }),
  );
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
}

const folder = mkdtempSync(join(tmpdir(), 'dflockd-lab-'));
try {
  await compile(folder);
  const lab = spawn(process.execPath, [join(folder, 'test/faults/main.js'), ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exitCode = await new Promise((resolve) => lab.on('exit', (code) => resolve(code ?? 1)));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
