import { describe, expect, it } from '@jest/globals';
import { readConnectionString } from '../../../../../lib/backends/postgres/sessions/connection-string.js';
import {
  applicationName,
  differences,
  settingsOf,
  startupOptions,
} from '../../../../../lib/backends/postgres/sessions/settings.js';

describe('the settings of a session of Postgres', () => {
  it('let a command wait for a second at most, and a wait for ever', () => {
    expect(startupOptions(settingsOf('command', 10_000, new Set()))).toBe(
      '-c idle_session_timeout=10000 -c statement_timeout=0 -c lock_timeout=1000 -c client_connection_check_interval=1000 ' +
        '-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2 -c tcp_user_timeout=10000 ' +
        '-c plan_cache_mode=force_generic_plan -c jit=off -c search_path=pg_catalog',
    );
    expect(settingsOf('wait', 10_000, new Set(['jit']))).toMatchObject({ lock_timeout: '0' });
    expect(settingsOf('wait', 10_000, new Set(['jit']))).not.toHaveProperty('jit');
  });

  it('are missing where the server has others, transaction_timeout from 17 on', () => {
    const wanted = settingsOf('command', 10_000, new Set());
    expect(differences(wanted, wanted, 160_000)).toEqual({});
    expect(differences(wanted, { ...wanted, jit: 'on', lock_timeout: '5' }, 160_000)).toEqual({ lock_timeout: '1000' });
    expect(differences(wanted, { ...wanted, transaction_timeout: '5' }, 160_000)).toEqual({});
    expect(differences(wanted, { ...wanted, transaction_timeout: '5' }, 170_000)).toEqual({ transaction_timeout: '0' });
    expect(differences(wanted, { ...wanted, transaction_timeout: '0' }, 170_000)).toEqual({});
  });

  it('name the process, within what a name may have', () => {
    expect(applicationName('web-1', 42)).toBe('nestjs-dflockd:web-1:42');
    expect(applicationName('häuschen 1', 42)).toBe('nestjs-dflockd:h?uschen?1:42');
    const long = applicationName('h'.repeat(100), 123_456);
    expect([long.length, long.endsWith('h:123456')]).toEqual([63, true]);
    expect(applicationName()).toContain(`:${process.pid}`);
  });
});

describe('a connection string', () => {
  it.each(['/run/postgresql app', 'socket:/run/postgresql?db=app'])(
    'that names a socket stays as it is: %s',
    (text) => {
      expect(readConnectionString(text)).toEqual({ text, namesPooler: false });
    },
  );
});
