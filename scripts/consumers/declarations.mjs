// Compiles user code against the packed declarations with each TypeScript that the package supports: `declaration`,
// `skipLibCheck: false`, `exactOptionalPropertyTypes`, all module resolutions.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forAll, run } from './commands.mjs';

const EVERY = ['5.0', '5.1', '5.2', '5.3', '5.4', '5.5', '5.6', '5.7', '5.8', '5.9', '6.0', '7.0'];
/** Each takes 4 s of CPU; the last one, which is native code, half a second. */
const SOME = ['5.0', '5.4', '5.9', '6.0', '7.0'];
const ENDS = ['5.0', '7.0'];

const USER = readFileSync(fileURLToPath(new URL('types/user.ts', import.meta.url)), 'utf8');
/** Without `experimentalDecorators`, as programs outside Nest are compiled: only the decorators fail to compile. */
const STANDARD = `
  import { CronLock, WithLock } from 'nestjs-dflockd';

  export const OrderLock = () => WithLock('order:{0}');
  export const Nightly = (name: string) => CronLock(name, { minHoldS: 30 });

  export class Orders {
    // @ts-expect-error a standard decorator gets a context
    @OrderLock() async ship(id: string): Promise<string> {
      return id;
    }
  }
`;

const NODENEXT = { module: 'nodenext', moduleResolution: 'nodenext' };
const BUNDLER = { module: 'esnext', moduleResolution: 'bundler' };

/** The programs: their files, and their module resolution. */
function programsOf(nest, all) {
  // Nest 12 is ESM; before 5.8, the compiler does not let CommonJS require it.
  const both = { 'user.mts': USER, 'user.cts': USER };
  const either = { name: 'ESM and CommonJS', files: both, options: NODENEXT };
  if (nest === '10') return [{ ...either, versions: ['7.0'] }];
  if (nest === '11') return [{ ...either, versions: all ? EVERY : SOME }];
  const standard = { ...BUNDLER, experimentalDecorators: false, emitDecoratorMetadata: false };
  return [
    { ...either, versions: all ? EVERY.slice(EVERY.indexOf('5.8')) : ['7.0'] },
    { name: 'bundler', files: { 'user.ts': USER }, options: BUNDLER, versions: all ? EVERY : ENDS },
    { name: 'standard decorators', files: { 'standard.ts': STANDARD }, options: standard, versions: ENDS },
  ];
}

/** @returns the folder with `typescript-5.0` and so on */
export async function installCompilers(work, all) {
  const folder = join(work, 'compilers');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'compilers', private: true }));
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  const aliases = (all ? EVERY : SOME).map((version) => `typescript-${version}@npm:typescript@${version}`);
  await run(folder, 'npm', ['install', ...quietly, ...aliases]);
  return folder;
}

/** Prints diagnostics in the files of other packages. @returns the failures, program by program */
export async function checkDeclarations(project, nest, compilers, all) {
  const failures = [];
  const strangers = new Map();
  const runs = programsOf(nest, all).flatMap(({ versions, ...program }) =>
    versions.map((version) => [version, program]),
  );
  await forAll(runs, 2, async ([version, { name, files, options }]) => {
    const what = `TypeScript ${version}, Nest ${nest}, ${name}`;
    const folder = join(project, `types-${version}-${name.replaceAll(' ', '-')}`);
    write(folder, files, options);
    const compiler = join(compilers, 'node_modules', `typescript-${version}`, 'bin/tsc');
    const said = await run(folder, process.execPath, [compiler, '-p', '.', '--pretty', 'false']).catch((error) =>
      errorsIn(error.message),
    );
    if (typeof said === 'string') return console.log(`${what}: no diagnostic`);
    const own = said.filter(isOurs);
    for (const [path] of said.filter((error) => !isOurs(error)).map((error) => error.split('('))) {
      strangers.set(path, (strangers.get(path) ?? new Set()).add(version));
    }
    // A failure outside any file: an option that the compiler does not know, or a crash.
    if (said.length === 0) own.push('the compiler has failed');
    if (own.length > 0) failures.push(`${what}\n${own.join('\n')}`);
    else console.log(`${what}: no diagnostic but ${said.length} in files of others`);
  });
  for (const [path, versions] of strangers) console.log(`  ${path}: ${[...versions].join(', ')}`);
  return failures;
}

function write(folder, files, options) {
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    declaration: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    outDir: 'out',
    rootDir: '.',
    ...options,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(files) }));
}

/** The diagnostics, with their continuation lines. */
const errorsIn = (text) => text.match(/^\S+\(\d+,\d+\): error TS\d+: .*(?:\n[ \t].*)*/gm) ?? [];

/** Whether a diagnostic concerns the user's code or the package. */
const isOurs = (error) => {
  const [path] = error.split('(');
  return !path.includes('node_modules/') || path.includes('node_modules/nestjs-dflockd/');
};
