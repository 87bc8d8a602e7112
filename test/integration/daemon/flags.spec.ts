import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { DaemonCommand } from '../../support/command-line.js';
import { until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { GRANT, acquire } from './harness.js';

/** In this process: command-line.spec.ts shows that a process of its own takes its arguments and variables the same way. */
describe('the flags and variables of nestjs-dflockd daemon (spec 7, 8)', () => {
  let file: string;
  const running: DaemonCommand[] = [];

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    file = join(folder, 'token');
    await writeFile(file, ' from-file \n');
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((command) => command.kill()));
  });
  afterAll(() => rm(join(file, '..'), { recursive: true }));

  function start(args: readonly string[], env?: Record<string, string>): DaemonCommand {
    const command = new DaemonCommand(args, env);
    running.push(command);
    return command;
  }

  async function ended(args: readonly string[], env?: Record<string, string>) {
    const command = start(args, env);
    const code = await command.exit;
    return { code, stdout: command.stdout, stderr: command.stderr };
  }

  const daemon = (args: readonly string[], env?: Record<string, string>): DaemonCommand =>
    start(['-port', '0', ...args], env);

  async function talk(command: DaemonCommand): Promise<Wire> {
    return Wire.tcp(await command.listening());
  }

  /** Whether a daemon wants this token. */
  async function wants(token: string, args: string[], env?: Record<string, string>): Promise<boolean> {
    const wire = await talk(daemon(args, env));
    const answer = await wire.ask(`auth\n_\n${token}\n`);
    wire.destroy();
    return answer === 'ok';
  }

  it.each([
    [['-bogus'], 'bogus'],
    [['--bogus=1'], 'bogus'],
    [['-port'], 'port'],
    [['-port', 'x'], '"x"'],
    [['-port=1.5'], '"1.5"'],
    [['-port=1e3'], '"1e3"'],
    [['-port='], 'port'],
    [['-max-locks', '08'], '"08"'],
    [['-max-locks', '1__0'], '"1__0"'],
    [['-debug=yes'], '"yes"'],
    [['-debug=tRUE'], '"tRUE"'],
    [['---port=1'], '---port=1'],
    [['-=1'], '-=1'],
    [['--help'], 'help'],
    [['-h'], 'help'],
  ])('explains the wrong syntax of %j with the usage, and ends with 1', async (args, what) => {
    const { code, stdout, stderr } = await ended(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(what);
    expect(stderr).toMatch(/-port int/);
  });

  it.each([
    [['-port', '65536'], /port.*65536/],
    [['-port', '-1'], /port.*-1/],
    [['-max-locks', '0'], /max-?locks.*0/i],
    [['-read-timeout', '0'], /read-?timeout.*0/i],
    [['-gc-max-idle', '-1'], /gc-?max-?idle.*-1/i],
    [['-default-lease-ttl', '9223372037'], /default-lease-ttl.*9223372036.*9223372037/],
    [['-shutdown-timeout', '9223372037'], /shutdown-timeout.*9223372036.*9223372037/],
    [['-tls-cert', 'x'], /tls-?cert.*tls-?key/i],
    [['-auth-token', ' '], /auth-?token/i],
    [['-auth-token-file', '/nowhere'], /auth-?token-?file.*\/nowhere/i],
    [['-version', '-port', '70000'], /port.*70000/],
    [['-port', '7000', '-http-port', '7000'], /http-port: expected another port than that of flag -port, got 7000/],
    [
      ['-http-session-idle-timeout', '15'],
      /http-session-idle-timeout: expected 0 or more than flag -http-sse-ping-interval, which is 15 s, got 15/,
    ],
  ])('refuses the configuration %j, and ends with 1', async (args, message) => {
    const { code, stdout, stderr } = await ended(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^configuration error: /);
    expect(stderr).toMatch(message);
  });

  it('names the flag, not only the option of the library', async () => {
    expect((await ended(['-max-locks', '0'])).stderr).toContain('max-locks');
  });

  it.each([
    ['one dash and =', ['-default-lease-ttl=7'], 7],
    ['two dashes and a further argument', ['--default-lease-ttl', '7'], 7],
    ['hexadecimal', ['-default-lease-ttl=0x1F'], 31],
    ['octal', ['-default-lease-ttl', '0o17'], 15],
    ['octal with a leading 0', ['-default-lease-ttl', '017'], 15],
    ['binary', ['-default-lease-ttl', '0b101'], 5],
    ['underscores', ['-default-lease-ttl', '1_000'], 1000],
    ['the last of several', ['-default-lease-ttl=7', '-default-lease-ttl=8'], 8],
    ['a boolean that takes no argument', ['-debug', '-default-lease-ttl=7'], 7],
    ['a boolean with =', ['-debug=F', '-default-lease-ttl=7'], 7],
    ['what follows --', ['--', '-default-lease-ttl=7'], 33],
    ['what follows an argument that is no flag', ['x', '-default-lease-ttl=7'], 33],
    ['what follows a word behind a boolean', ['-debug', 'false', '-default-lease-ttl=7'], 33],
  ])('understands %s', async (_, args, lease) => {
    const wire = await talk(daemon(args));
    expect(await wire.ask(acquire('k'))).toMatch(new RegExp(` ${lease}$`));
    wire.destroy();
  });

  it.each<[string, string[], Record<string, string>, number]>([
    ['the variable over the default', [], { DFLOCKD_DEFAULT_LEASE_TTL_S: '7' }, 7],
    ['the flag over the variable', ['-default-lease-ttl=8'], { DFLOCKD_DEFAULT_LEASE_TTL_S: '7' }, 8],
    ['an empty variable as unset', [], { DFLOCKD_DEFAULT_LEASE_TTL_S: '' }, 33],
    ['a variable that is no decimal as unset', [], { DFLOCKD_DEFAULT_LEASE_TTL_S: '0x10' }, 33],
    ['a variable with underscores as unset', [], { DFLOCKD_DEFAULT_LEASE_TTL_S: '1_0' }, 33],
    ['a variable of words as unset', [], { DFLOCKD_DEFAULT_LEASE_TTL_S: 'ten' }, 33],
  ])('takes %s', async (_, args, env, lease) => {
    const wire = await talk(daemon(args, env));
    expect(await wire.ask(acquire('k'))).toMatch(new RegExp(` ${lease}$`));
    wire.destroy();
  });

  it('checks variables as it checks flags', async () => {
    const { code, stderr } = await ended([], { DFLOCKD_PORT: '70000' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^configuration error: .*70000/);
  });

  it.each(['0', 'no', 'FALSE', 'No'])('takes DFLOCKD_AUTO_RELEASE_ON_DISCONNECT=%s as false', async (value) => {
    const command = daemon([], { DFLOCKD_AUTO_RELEASE_ON_DISCONNECT: value });
    const [holder, other] = [await talk(command), await talk(command)];
    expect(await holder.ask(acquire('k'))).toMatch(GRANT);
    holder.destroy();
    await until(async () => (await other.ask('stats\n_\n\n')).includes('"connections":1'), 'the end of the holder');
    expect(await other.ask(acquire('k'))).toBe('timeout');
    other.destroy();
  });

  it('reads older variables and warns of them', async () => {
    const command = daemon([], { DFLOCKD_GC_LOOP_SLEEP: '2', DFLOCKD_GC_MAX_UNUSED_TIME: '3' });
    await command.listening();
    expect(command.stderr).toContain('DFLOCKD_GC_LOOP_SLEEP');
    expect(command.stderr).toContain('DFLOCKD_GC_MAX_UNUSED_TIME');
    const silent = daemon([], { DFLOCKD_GC_INTERVAL_S: '2', DFLOCKD_GC_LOOP_SLEEP: '3' });
    await silent.listening();
    expect(silent.stderr).not.toContain('DFLOCKD_GC_LOOP_SLEEP');
  });

  it('takes the token of the flag, then of the file flag, then of the variables', async () => {
    const env = { DFLOCKD_AUTH_TOKEN: 'from-env', DFLOCKD_AUTH_TOKEN_FILE: file };
    expect(await wants('from-flag', ['-auth-token', 'from-flag', '-auth-token-file', file], env)).toBe(true);
    expect(await wants('from-file', ['-auth-token-file', file], env)).toBe(true);
    expect(await wants('from-env', [], env)).toBe(true);
    expect(await wants('from-file', [], { DFLOCKD_AUTH_TOKEN_FILE: file })).toBe(true);
    expect(await wants('from-env', ['-auth-token='], env)).toBe(true);
    expect(await wants('from-flag', ['-auth-token', ' from-flag\t'], env)).toBe(true);
  });
});
