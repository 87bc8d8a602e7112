import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CompiledLib } from '../support/compiled-lib.js';

interface Names {
  /** Of each class that an entry exports: what it is called, and what its instance is, if it is an error. */
  readonly classes: readonly [entry: string, exported: string, name: string, error: string | undefined][];
  readonly busy: { readonly name: string; readonly text: string; readonly json: { readonly name: string } };
  readonly own: string;
  readonly refused: string;
  /** What Nest calls the parts of the module. */
  readonly providers: readonly string[];
}

describe('a minified bundle', () => {
  let lib: CompiledLib;
  let names: Names;

  beforeAll(async () => {
    lib = await CompiledLib.make({ nest: true, minified: true });
    const { code, out } = await lib.run(
      `
      await import('reflect-metadata');
      const entries = {};
      for (const name of ['index', 'client', 'daemon', 'testing']) entries[name] = await ROOM('entries/' + name + '.js');
      const classes = Object.entries(entries).flatMap(([entry, all]) =>
        Object.entries(all)
          .filter(([, value]) => typeof value === 'function' && /^class\\b/.test(String(value)))
          .map(([name, type]) => [entry, name, type.name, type.prototype instanceof Error ? new type('k', 'k').name : undefined]),
      );
      const { AcquireTimeoutError, DflockdModule, LockError } = entries.index;
      const error = new AcquireTimeoutError('k');
      class MyLockError extends LockError {}
      const { providers, module } = DflockdModule.forRoot({ embedded: true });
      let refused;
      try {
        new entries.client.LockClient({ servers: [] });
      } catch ({ name }) {
        refused = name;
      }
      console.log(JSON.stringify({
        classes,
        busy: { name: error.name, text: String(error), json: error },
        own: new MyLockError('k').name,
        refused,
        providers: [module, ...providers.filter((its) => typeof its === 'function')].map((its) => its.name),
      }));
    `,
    );
    if (code !== 0) throw new Error(out);
    names = JSON.parse(out) as Names;
  }, 60_000);
  afterAll(() => lib.remove());

  it('has errors with the names that the documentation gives them', () => {
    expect(names.busy).toMatchObject({ name: 'AcquireTimeoutError', json: { name: 'AcquireTimeoutError' } });
    expect(names.busy.text).toMatch(/^AcquireTimeoutError: /);
    expect(names.refused).toBe('ConfigError');
    expect(names.own).toBe('MyLockError');
    expect(names.classes.filter(([, , , error]) => error !== undefined).length).toBeGreaterThan(40);
    for (const [, exported, , error] of names.classes) expect(error ?? exported).toBe(exported);
  });

  it('has classes of their names, which loggers and Nest print', () => {
    for (const [, exported, name] of names.classes) expect(name).toBe(exported);
    expect(names.providers).toEqual(['DflockdModule', 'DflockdExplorer', 'DflockdLifecycle']);
  });
});
