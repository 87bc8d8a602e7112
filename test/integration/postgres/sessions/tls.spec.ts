import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { type Certificate, selfSigned } from '../../../support/certificates.js';
import { folderFor } from '../../../support/postgres/data-folder.js';
import { describePostgres } from '../../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../../support/postgres/server.js';
import { dialers, failure, heldSockets, valueOf } from './support.js';

describePostgres('a session over TLS', () => {
  const dialerTo = dialers();
  let server: PostgresServer;
  let folder: string;
  let own: Certificate;
  let client: Certificate;

  beforeAll(async () => {
    [own, client, folder] = await Promise.all([selfSigned(), selfSigned('locker'), folderFor('tls')]);
    server = await PostgresServer.start({
      tls: { ...own, ca: `${own.cert}\n${client.cert}` },
      hba: ['hostssl all locker all cert', 'hostssl all open all trust'],
    });
    await server.query('create role locker login');
    await server.query('create role open login');
    await Promise.all([
      writeFile(join(folder, 'ca.pem'), own.cert),
      writeFile(join(folder, 'client.pem'), client.cert),
      writeFile(join(folder, 'client.key'), client.key),
    ]);
  });
  afterAll(async () => {
    await server?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const config = (more: object): object => ({
    host: server.host,
    port: server.port,
    user: 'locker',
    database: 'postgres',
    ...more,
  });

  it('is proven by a certificate, given in a configuration, a Pool and an address', async () => {
    const ssl = { ca: own.cert, cert: client.cert, key: client.key };
    const files = `sslrootcert=${folder}/ca.pem&sslcert=${folder}/client.pem&sslkey=${folder}/client.key`;
    for (const source of [
      config({ ssl }),
      new pg.Pool(config({ ssl })),
      `${server.urlOf({ user: 'locker' })}?sslmode=verify-full&${files}`,
    ]) {
      const { command, wait } = await dialerTo(source).start();
      const used = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
      expect([await valueOf(command, used), await valueOf(wait!, used)]).toEqual(['t', 't']);
    }
  });

  it('keeps the process alive only while somebody waits for it', async () => {
    const before = heldSockets();
    const { command } = await dialerTo(config({ ssl: { ca: own.cert }, user: 'open' })).start();
    expect(heldSockets()).toBe(before);
    command.hold(true);
    expect(heldSockets()).toBeGreaterThan(before);
    command.hold(false);
    expect(heldSockets()).toBe(before);
  });

  it.each<[string, () => object, string, string]>([
    ['a certificate is missing', () => ({ ssl: { ca: own.cert } }), 'AuthError', 'certificate'],
    ['the authority is unknown', () => ({ ssl: true, user: 'open' }), 'ConfigError', 'sslmode=no-verify'],
    ['TLS is', () => ({ user: 'open' }), 'AuthError', 'may demand TLS'],
  ])('is refused where %s', async (_name, more, type, text) => {
    const error = await failure(dialerTo(config(more())).start());
    expect([error.name, error.isTransient, error.message]).toEqual([type, false, expect.stringContaining(text)]);
  });

  it('is made for a while later where the authority has changed', async () => {
    let ca = own.cert;
    const ssl = {
      get ca(): string {
        return ca;
      },
    };
    const dialer = dialerTo(config({ ssl, user: 'open' }));
    await dialer.start();
    ca = client.cert;
    const error = await failure(dialer.connect('wait'));
    expect([error.name, error.isTransient]).toEqual(['ConfigError', true]);
  });
});
