import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** As the runner of examples makes its programs. */
const Program = (() => {}).constructor as FunctionConstructor;
const root = resolve(import.meta.dirname, '..', '..');

/**
 * A CommonJS package whose own imports are given: jest cannot have one require a package that is ESM, as Node can.
 * @param modules what it imports, by name; it gets an error for anything else, when it uses it
 */
export function commonJs(name: string, modules: Readonly<Record<string, object>>): object {
  const folder = join(root, 'node_modules', name);
  const { main } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { main: string };
  const loaded = new Map<string, { exports: object }>();
  const load = (path: string): object => {
    const file = [path, `${path}.js`, join(path, 'index.js')].find((it) => it.endsWith('.js') && existsSync(it))!;
    const known = loaded.get(file);
    if (known) return known.exports;
    const module = { exports: {} };
    loaded.set(file, module);
    const require = (wanted: string): object => {
      if (wanted.startsWith('.')) return load(join(dirname(file), wanted));
      const given = modules[wanted];
      if (!given) throw new Error(`${name} requires ${wanted}, which is not given to it`);
      return given;
    };
    new Program('exports', 'require', 'module', readFileSync(file, 'utf8'))(module.exports, require, module);
    return module.exports;
  };
  return load(join(folder, main));
}
