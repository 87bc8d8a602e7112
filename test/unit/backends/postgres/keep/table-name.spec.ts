import { describe, expect, it } from '@jest/globals';
import { checkKeep } from '../../../../../lib/backends/postgres/keep/table-name.js';
import { schemaScript } from '../../../../../lib/backends/postgres/keep/schema.js';
import { ConfigError } from '../../../../../lib/common/errors.js';

describe('the option keep', () => {
  it.each([undefined, false])('is off with %p', (value) => {
    expect(checkKeep('keep', value)).toBeUndefined();
  });

  it.each([
    [true, 'public.dflockd_kept'],
    ['public.dflockd_kept', 'public.dflockd_kept'],
    ['Public.Dflockd_Kept', 'public.dflockd_kept'],
    ['app.kept', '"app"."kept"'],
    ['order.user', '"order"."user"'],
    ['"App"."my ""own"" table"', '"App"."my ""own"" table"'],
    ['"a.b".c', '"a.b"."c"'],
    ['größe.ключ', '"größe"."ключ"'],
    ['ÄB.C', '"Äb"."c"'],
    [`${'a'.repeat(63)}.b`, `"${'a'.repeat(63)}"."b"`],
  ])('%p means the table %s', (value, sql) => {
    expect(checkKeep('keep', value)?.sql).toBe(sql);
  });

  it.each([
    '',
    'dflockd_kept',
    'a.b.c',
    'a.',
    '.b',
    '""."b"',
    '"a".b; drop table x',
    'a.b c',
    "a.b'",
    '"a"b".c',
    'a."b',
    '1a.b',
    'a-b.c',
    'a.b\n',
    'a."b\0"',
    `a.${'b'.repeat(64)}`,
    `a.${'ü'.repeat(32)}`,
    1,
    null,
    {},
    ['a.b'],
  ])('refuses %p', (value) => {
    expect(() => checkKeep('keep', value)).toThrow(ConfigError);
    expect(() => checkKeep('keep', value)).toThrow(/^option keep: expected .*, got /);
  });

  it('has two statements that create its table', () => {
    expect(schemaScript(checkKeep('keep', 'app.kept')!, 'app')).toBe(
      'create table if not exists "app"."kept" (id bigint primary key, until timestamptz not null);\n' +
        'grant select, insert, update, delete on "app"."kept" to app;\n',
    );
  });
});
