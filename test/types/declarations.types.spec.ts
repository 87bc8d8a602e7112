import { beforeAll, describe, expect, it } from '@jest/globals';
import { readDeclarations, type Declared } from './declarations.js';

describe('the declarations of the package', () => {
  let entries: Record<string, Declared>;
  beforeAll(async () => {
    entries = await readDeclarations();
  }, 60_000);

  // Else a function of the user's own whose result has such a type cannot be declared (TS2742, TS2883).
  it.each(['index', 'client', 'daemon', 'lockd', 'testing'])(
    'of the entry %s name no type that it does not export',
    (entry) => {
      expect(entries[entry]!.exported).toBeGreaterThanOrEqual(5);
      expect(entries[entry]!.unnamed).toEqual([]);
    },
  );

  it.each(['index', 'client', 'daemon', 'lockd', 'testing'])(
    'of the entry %s let optional members be undefined',
    (entry) => {
      expect(entries[entry]!.strict).toEqual([]);
    },
  );
});
