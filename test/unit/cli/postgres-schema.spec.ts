import { describe, expect, it } from '@jest/globals';
import { postgresSchemaCommand } from '../../../lib/cli/postgres-schema-command.js';

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const printed = { out: '', err: '' };
  const code = await postgresSchemaCommand(args, {
    env: {},
    out: (text) => (printed.out += text),
    err: (text) => (printed.err += text),
    onStop: () => undefined,
    version: '1.2.3',
  });
  return { code, ...printed };
}

describe('nestjs-dflockd postgres-schema', () => {
  it('prints the statements of the default table', async () => {
    expect(await run()).toEqual({
      code: 0,
      out:
        'create table if not exists public.dflockd_kept (id bigint primary key, until timestamptz not null);\n' +
        'grant select, insert, update, delete on public.dflockd_kept to <role>;\n',
      err: '',
    });
  });

  it('prints those of another table and role, quoted', async () => {
    const { code, out } = await run('--table', 'App.kept', '--role=my "app"');
    expect(code).toBe(0);
    expect(out).toBe(
      'create table if not exists "app"."kept" (id bigint primary key, until timestamptz not null);\n' +
        'grant select, insert, update, delete on "app"."kept" to "my ""app""";\n',
    );
  });

  it.each([
    [['--table', 'kept'], 'option -table: expected a table with its schema'],
    [['--table'], 'flag needs an argument: -table'],
    [['--schema', 'a'], 'flag provided but not defined: -schema'],
    [['--role', ''], 'option -role: expected the name of a role'],
    [['app.kept'], 'unexpected argument: app.kept'],
    [['--role', 'app', '--', 'app.kept'], 'unexpected argument: app.kept'],
  ])('refuses %p', async (args, text) => {
    const { code, out, err } = await run(...args);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(text);
  });
});
