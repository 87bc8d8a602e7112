// NestJS Observe, which wraps everything that Nest injects in proxies and traces calls of its methods. Needs Nest 11.
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './commands.mjs';

const program = fileURLToPath(new URL('observe', import.meta.url));

/** @returns what it printed */
export async function runObserved(project, node) {
  const folder = join(project, 'observe');
  cpSync(program, folder, { recursive: true });
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  await run(project, 'npm', ['install', ...quietly, '@nestjs/observe@0.3']);
  const compilerOptions = {
    module: 'nodenext',
    // Observe looks for private names in the source of classes, so the compiler must keep them.
    target: 'es2022',
    types: ['node'],
    strict: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    skipLibCheck: true,
    outDir: 'out',
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }));
  await run(folder, node, ['../node_modules/typescript/bin/tsc', '-p', '.']);
  return run(folder, node, ['out/main.mjs'], { env: { NO_COLOR: '1' }, timeout: 60_000 });
}
