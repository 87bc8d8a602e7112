import { describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { DAEMON_FLAGS } from '../../../lib/cli/daemon-flags.js';
import { parseFlags } from '../../../lib/cli/flags.js';
import { LockError } from '../../../lib/common/errors.js';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { DistributedLock } from '../../../lib/dropin/dflockd-client/distributed-lock.js';
import { SignalConnection } from '../../../lib/dropin/dflockd-client/signal-connection.js';
import { stats } from '../../../lib/dropin/dflockd-client/stats.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import type { LockClientOptions } from '../../../lib/locks/options/options.js';

/** What a refusal says, with everything that a log would print of it. */
async function refusal(use: () => unknown): Promise<{ message: string; printed: string }> {
  try {
    await use();
  } catch (error) {
    const all = [(error as Error).stack, inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error)];
    return { message: (error as Error).message, printed: all.join('\n') };
  }
  throw new Error('accepted');
}

const client = (options: unknown) => (): unknown => new LockClient(options as LockClientOptions);
const server = (options: object) => (): unknown => new DflockdServer(options);
const flags =
  (...args: string[]) =>
  (): unknown =>
    parseFlags(DAEMON_FLAGS, args);

const S = 's3cr3t';
const PEM = `-----BEGIN PRIVATE KEY-----\n${S}\n-----END PRIVATE KEY-----`;

describe('the value of an option whose name says that it is secret', () => {
  const cases: [string, () => unknown, RegExp][] = [
    ['remote.authToken', client({ remote: { authToken: S } }), /option remote\.authToken is unknown; known options: tls, auth/],
    ['auth at the top', client({ auth: S }), /^option auth is unknown; known options: servers/],
    ['authToken at the top', client({ authToken: S }), /^option authToken is unknown/],
    ['token', client({ token: S }), /^option token is unknown/],
    ['remote.password', client({ remote: { password: S } }), /^option remote\.password is unknown/],
    ['remote.passphrase', client({ remote: { passphrase: S } }), /^option remote\.passphrase is unknown/],
    ['remote.key', client({ remote: { key: PEM } }), /^option remote\.key is unknown/],
    ['apiKey', client({ apiKey: S }), /^option apiKey is unknown/],
    ['pfx', client({ remote: { pfx: S } }), /^option remote\.pfx is unknown/],
    ['clientSecret', client({ clientSecret: S }), /^option clientSecret is unknown/],
    ['CREDENTIALS', client({ CREDENTIALS: S }), /^option CREDENTIALS is unknown/],
    ['embedded.authTokn', client({ embedded: { authTokn: S } }), /^option embedded\.authTokn is unknown/],
    ['remote.auth of another type', client({ remote: { auth: [S] } }), /^option remote\.auth: expected a token/],
    ['remote.tls as text', client({ remote: { tls: PEM } }), /^option remote\.tls: expected an object, got PEM text$/],
    ['a list in an unknown option', client({ tokens: [S] }), /^option tokens is unknown/],
    ['authTokn of a daemon', server({ authTokn: S }), /^unknown daemon option authTokn$/],
    ['authToken of a daemon, of another type', server({ authToken: [S] }), /^daemon option authToken: expected a string that is not blank$/],
    ['tlsKey with the key itself', server({ tlsKey: PEM, tlsCert: 'x' }), /tls(Key|Cert)/],
    ['tlsKey alone, with the key itself', server({ tlsKey: PEM }), /daemon option tlsKey .*requires daemon option tlsCert/],
    ['authTokenFile with the token itself', server({ authTokenFile: S }), /authTokenFile: cannot read the file: ENOENT$/],
    ['auth of the drop-in, with a line break', () => new DistributedLock({ key: 'k', auth: `${S}\n` }), /^auth must not contain NUL, LF or CR$/],
    ['auth of the drop-in, of another type', () => new DistributedLock({ key: 'k', auth: [S] as never }), /^auth must be a string$/],
    ['auth of a connection', () => SignalConnection.connect({ auth: `${S}\r` }), /^auth must not contain NUL, LF or CR$/],
    ['auth of stats', () => stats({ auth: `${S}\0` }), /^auth must not contain NUL, LF or CR$/],
    ['a passphrase of another type', async () => {
      const made = new LockClient({ startup: 'require', remote: { tls: { key: PEM, passphrase: 5310531053 as never } } });
      await made.start();
    }, /^option remote\.tls: The "options.passphrase" property must be of type string/],
    ['a passphrase of another type, in the drop-in', () =>
      new DistributedLock({ key: 'k', tls: { key: PEM, passphrase: 5310531053 as never } }).acquire(), /passphrase/],
    ['a misspelt flag', flags(`--auth-tokn=${S}`), /^flag provided but not defined: -auth-tokn$/],
    ['a misspelt flag and its value', flags('--auth-tokn', S), /^flag provided but not defined: -auth-tokn$/],
    ['a flag with three dashes', flags(`---auth-token=${S}`), /^bad flag syntax: ---auth-token$/],
    ['a flag that has grown together with its value', flags(`--auth-token${S}`), /^flag provided but not defined: -auth-token…$/],
    ['a flag with a colon', flags(`--auth-token:${S}`), /^flag provided but not defined: -auth-token…$/],
  ]; // prettier-ignore

  it.each(cases)('is not shown: %s', async (_, use, message) => {
    const said = await refusal(use);
    expect(said.message).toMatch(message);
    expect(said.printed).not.toMatch(/s3cr3t|5310531053/);
  });

  it('is shown for other names', async () => {
    const said = await refusal(client({ acquireTimeout: 5 }));
    expect(said.message).toMatch(/^option acquireTimeout is unknown, got 5; known options:/);
  });

  it('a file of a token that lies at a path is named', async () => {
    const said = await refusal(server({ authTokenFile: '/no/where' }));
    expect(said.message).toMatch(/authTokenFile: cannot read "\/no\/where"/);
  });

  it('a token of two lines is not shown, wherever it is read from', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    const authTokenFile = join(folder, 'token');
    await writeFile(authTokenFile, `${S}\n${S}\n`);
    const said = await refusal(server({ authTokenFile }));
    expect(said.printed).not.toContain(S);
    await rm(folder, { recursive: true });
  });
});

describe('an address that is none', () => {
  const SCHEME = /an address has no scheme/;
  const SEVERAL = /one address per entry/;
  const COLONS = /only an IPv6 address has more than one colon/;
  const USER = /an address has no user or password/;
  const NAME = /not a host name/;
  const cases: [unknown, RegExp, string][] = [
    ['tcp://h:1', SCHEME, '"tcp://h:1"'],
    ['tcp://h', SCHEME, '"tcp://h"'],
    ['dflockd://h:1', SCHEME, '"dflockd://h:1"'],
    [['tcp://h', 1], SCHEME, 'tcp://h,1'],
    [new URL('tcp://h:1'), SCHEME, 'tcp://h:1'],
    ['a:1,b:2', SEVERAL, '"a:1,b:2"'],
    ['a,b', SEVERAL, '"a,b"'],
    ['a:1;b:2', SEVERAL, '"a:1;b:2"'],
    ['a:1 b:2', SEVERAL, '"a:1 b:2"'],
    [['a,b', 1], SEVERAL, 'a,b,1'],
    ['h:1:2', COLONS, '"h:1:2"'],
    ['h::1', COLONS, '"h::1"'],
    ['[h:1]:2', COLONS, '"[h:1]:2"'],
    ['1.2.3.4:5:6', COLONS, '"1.2.3.4:5:6"'],
    [['h:1', 2], COLONS, 'h:1,2'],
    ['redis://u:s3cr3t@h:1', SCHEME, '"redis://***@h:1"'],
    ['redis://:s3cr3t@h', SCHEME, '"redis://***@h"'],
    ['//u:s3cr3t@h:1', USER, '"//***@h:1"'],
    ['redis://u:s3cr3t@/s3cr3t@h:1', SCHEME, '"redis://***@h:1"'],
    [`redis://u:${'s3cr3t'.repeat(20)}@h:1`, SCHEME, '"redis://***@h:1"'],
    ['u:s3cr3t@h:1', USER, '"***@h:1"'],
    ['s3cr3t@h', USER, '"***@h"'],
    [['u:s3cr3t@h', 1], USER, '***@h,1'],
    [['redis://u:s3cr3t@h', 1], SCHEME, 'redis://***@h,1'],
    [new URL('redis://u:s3cr3t@h:1'), SCHEME, 'redis://***@h:1'],
    ['h/path', NAME, '"h/path"'],
    ['h:1/0', NAME, '"h:1/0"'],
    ['h?x', NAME, '"h?x"'],
  ];

  it.each(cases)('is refused with a reason: servers [%p]', async (address, reason, shown) => {
    const said = await refusal(client({ servers: ['127.0.0.1', address] }));
    expect(said.message).toMatch(/^option servers\[1\]: expected host, host:port or \[host, port\], got /);
    expect(said.message).toMatch(reason);
    expect(said.message).toContain(`got ${shown};`);
    expect(said.printed).not.toContain('s3cr3t');
  });

  it.each(cases)('is refused with a reason: embedded.listen %p', async (listen, reason) => {
    const said = await refusal(client({ embedded: { listen } }));
    expect(said.message).toMatch(/^option embedded\.listen: expected host, host:port/);
    expect(said.message).toMatch(reason);
    expect(said.printed).not.toContain('s3cr3t');
  });

  it.each([
    ['tcp://h', SCHEME],
    ['redis://u:s3cr3t@h', SCHEME],
    ['u:s3cr3t@h', USER],
    ['h:1', COLONS],
    ['a,b', SEVERAL],
    ['h/x', NAME],
  ])('is refused with a reason: host %p of a daemon', async (host, reason) => {
    const said = await refusal(server({ host }));
    expect(said.message).toMatch(/^daemon option host: expected a host name or address, got /);
    expect(said.message).toMatch(reason);
    expect(said.printed).not.toContain('s3cr3t');
  });

  it('is not printed with its password where the list of servers is one text', async () => {
    const said = await refusal(client({ servers: 'redis://u:s3cr3t@h:1' }));
    expect(said.message).toBe('option servers: expected a list of at least one address, got "redis://***@h:1"');
    expect(said.printed).not.toContain('s3cr3t');
    expect((await refusal(client({ servers: 'u:s3cr3t@h:1' }))).printed).not.toContain('s3cr3t');
    expect((await refusal(client({ url: 'redis://u:s3cr3t@h:1' }))).printed).not.toContain('s3cr3t');
  });

  it.each([
    'h', 'h:1', 'h.example.com:6388', 'under_score:1', 'xn--bcher-kva.example:1', 'bücher.example', '127.0.0.1', '127.0.0.1:1', '::1',
    '[::1]', '[::1]:1', '::ffff:1.2.3.4', '[::ffff:1.2.3.4]:1', 'fe80::1%eth0', '[fe80::1%eth0]:1', '::1:6388', '[localhost]:1',
  ])('%p is one', (address) => {
    expect(client({ servers: [address] })).not.toThrow();
  }); // prettier-ignore

  it.each([[['h', 1]], [['::1', 1]], [['127.0.0.1', '1']]])('%p is one', (address) => {
    expect(client({ servers: [address] })).not.toThrow();
  });

  it.each([
    [['redis://u:s3cr3t@h', 1] as [string, number]],
    [['u:s3cr3t@h', 1] as [string, number]],
    [['tcp://h', 1] as [string, number]],
  ])('is taken by the drop-in, as by the original, and fails without its password: %p', async (address) => {
    const lock = new DistributedLock({ key: 'k', servers: [address], connectTimeoutMs: 1 });
    const said = await refusal(() => lock.acquire());
    expect(said.message).toMatch(/^host ".*" is not a host name or address$/);
    expect(said.printed).not.toContain('s3cr3t');
    await expect(lock.acquire()).rejects.toBeInstanceOf(LockError);
    expect((await refusal(() => stats({ host: address[0], port: 1 }))).printed).not.toContain('s3cr3t');
  });
});
