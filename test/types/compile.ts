import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type typescript from 'typescript';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');

/** Type-checks sources as if they were files of this folder, all in one program; returns each one's errors. */
export type Compile = (sources: readonly string[]) => Promise<string[][]>;

/** The compilers that users have: those before 7 have an API. */
export const COMPILERS: Readonly<Record<string, Compile>> = {
  '5.4': async (sources) => viaApi((await import('typescript-5.4')).default as unknown as typeof typescript, sources),
  '5.9': async (sources) => viaApi((await import('typescript-5.9')).default as unknown as typeof typescript, sources),
  '6.0': async (sources) => viaApi((await import('typescript')).default, sources),
  '7.0': (sources) => viaCommand(sources),
};

function viaApi(ts: typeof typescript, sources: readonly string[]): string[][] {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), (file) => ts.sys.readFile(file)).config as object;
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [], include: [] }, ts.sys, root);
  const files = new Map(sources.map((source, index) => [join(here, `virtual-${index}.ts`), source]));
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists.call(host, name);
  host.readFile = (name) => files.get(name) ?? readFile.call(host, name);
  host.getSourceFile = (name, ...rest) => {
    const source = files.get(name);
    return source === undefined ? getSourceFile.call(host, name, ...rest) : ts.createSourceFile(name, source, rest[0]);
  };
  const program = ts.createProgram(
    [...files.keys()],
    { ...options, noUnusedLocals: false, noUnusedParameters: false },
    host,
  );
  return [...files.keys()].map((name) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map((diagnostic) => ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n')),
  );
}

/** One error: the file's number, and the text with the lines that continue it. */
const ERROR = /^(?:.*[\\/])?virtual-(\d+)\.ts\(\d+,\d+\): error TS\d+: (.*(?:\n[ \t].*)*)/gm;

async function viaCommand(sources: readonly string[]): Promise<string[][]> {
  const folder = join(here, `virtual-${process.pid}`);
  await mkdir(folder);
  try {
    await Promise.all(
      sources.map((source, index) =>
        writeFile(join(folder, `virtual-${index}.ts`), source.replaceAll("'../", "'../../")),
      ),
    );
    const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false };
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: '../../../tsconfig.json', compilerOptions, include: ['*.ts'] }),
    );
    const manifest = createRequire(import.meta.url).resolve('@typescript/native/package.json');
    const args = [join(dirname(manifest), 'bin/tsc'), '-p', folder, '--pretty', 'false'];
    const said = await new Promise<string>((resolve) =>
      // It ends with an error if there are any.
      execFile(process.execPath, args, { maxBuffer: 1e8 }, (_error, stdout, stderr) => resolve(stdout + stderr)),
    );
    const errors: string[][] = sources.map(() => []);
    for (const [, index, text] of said.matchAll(ERROR)) errors[Number(index)]!.push(text!);
    if (said !== '' && errors.flat().length === 0) throw new Error(`the compiler said: ${said}`);
    return errors;
  } finally {
    await rm(folder, { recursive: true });
  }
}
