// An application bundled and minified by webpack.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './commands.mjs';

const program = fileURLToPath(new URL('bundled/main.mjs', import.meta.url));

/** Optional packages that Nest tries to load and works without. */
const BUNDLE = `
import { createRequire } from 'node:module';
import webpack from 'webpack';

const require = createRequire(import.meta.url);
const isMissing = (name) => {
  if (name.startsWith('.') || name.startsWith('node:')) return false;
  try {
    require.resolve(name);
    return false;
  } catch ({ code }) {
    return code === 'MODULE_NOT_FOUND';
  }
};
webpack(
  {
    mode: 'production',
    target: 'node20',
    entry: './main.mjs',
    output: { path: import.meta.dirname + '/out', filename: 'main.mjs', module: true, chunkFormat: 'module' },
    experiments: { outputModule: true },
    plugins: [new webpack.IgnorePlugin({ checkResource: isMissing })],
  },
  (error, stats) => {
    if (!error && !stats.hasErrors()) return;
    console.error(error ?? stats.toString({ all: false, errors: true }));
    process.exitCode = 1;
  },
);
`;

/** @returns what the bundle printed */
export async function runBundle(work, tarball, nest) {
  const folder = join(work, 'bundle');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'bundle', private: true, type: 'module' }));
  cpSync(program, join(folder, 'main.mjs'));
  writeFileSync(join(folder, 'bundle.mjs'), BUNDLE);
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  const parts = [`@nestjs/common@${nest}`, `@nestjs/core@${nest}`, 'reflect-metadata', 'rxjs', 'webpack@5'];
  await run(folder, 'npm', ['install', ...quietly, tarball, ...parts]);
  await run(folder, process.execPath, ['bundle.mjs']);
  return run(folder, process.execPath, ['out/main.mjs'], { timeout: 60_000 });
}
