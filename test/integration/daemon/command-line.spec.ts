import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CommandLine, type Command } from '../../support/command-line.js';
import { freePort } from '../../support/free-port.mjs';
import { until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { CONTAINERS, healthCheck } from '../../documents/deployment.js';
import { GRANT, PING, acquire, turns } from './harness.js';

/** Says how large the young generation has been at most. */
const WATCH_HEAP = `
  const { getHeapSpaceStatistics } = require('node:v8');
  let largest = 0;
  const look = () => {
    const { space_size } = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    largest = Math.max(largest, space_size);
  };
  setInterval(look, 2).unref();
  process.on('SIGUSR2', () => console.log('young', largest));
`;

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

describe('nestjs-dflockd daemon (spec 7, 8)', () => {
  let commandLine: CommandLine;
  let folder: string;
  const running: Command[] = [];

  beforeAll(async () => {
    commandLine = await CommandLine.build();
    folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    await writeFile(join(folder, 'token'), ' from-file \n');
  }, 30_000);
  afterEach(async () => {
    await Promise.all(running.splice(0).map((command) => command.kill()));
  });
  afterAll(async () => {
    await commandLine.remove();
    await rm(folder, { recursive: true });
  });

  function start(args: string[], env?: Record<string, string>): Command {
    const command = commandLine.start(args, env);
    running.push(command);
    return command;
  }

  async function ended(args: string[], env?: Record<string, string>): Promise<Ended> {
    const command = start(args, env);
    const code = await command.exit;
    return { code, stdout: command.stdout, stderr: command.stderr };
  }

  const daemon = (args: string[], env?: Record<string, string>): Command =>
    start(['daemon', '-port', '0', ...args], env);

  async function talk(command: Command): Promise<Wire> {
    return Wire.tcp(await command.listening());
  }

  /** Whether a daemon wants this token. */
  async function wants(token: string, args: string[], env?: Record<string, string>): Promise<boolean> {
    const wire = await talk(daemon(args, env));
    const answer = await wire.ask(`auth\n_\n${token}\n`);
    wire.destroy();
    return answer === 'ok';
  }

  it('prints help and version of the package', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await ended(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('daemon'), stderr: '' });
    expect(await ended(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect(await ended(['daemon', '--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('refuses an unknown command', async () => {
    expect(await ended(['demon'])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('"demon"') });
  });

  it('logs where it listens, and ends with 0 at SIGTERM and SIGINT', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const command = daemon([]);
      const { host, port } = await command.listening();
      expect(command.stderr).toMatch(
        new RegExp(`^time=\\S+ level=INFO msg=listening addr=${host.replaceAll('.', '\\.')}:${port}$`, 'm'),
      );
      expect(command.stdout).toBe('');
      command.signal(signal);
      expect(await command.exit).toBe(0);
    }
  });

  it.each(CONTAINERS)(
    'runs as docs/deployment.md starts, watches and stops it: $where',
    async ({ args, env, graceS }) => {
      // The token where it is here, and a port of its own.
      const own = args.map((arg) => (arg.startsWith('/run/secrets/') ? join(folder, 'token') : arg));
      const command = start([...own, '--port', '0'], env);
      const { port } = await command.listening();
      const wire = await Wire.tcp({ host: '127.0.0.1', port });
      expect(await wire.ask(`auth\n_\nfrom-file\n`)).toBe('ok');
      wire.destroy();

      const probe = async (to: number): Promise<number | null> => {
        const program = healthCheck.slice(1).map((arg) => arg.replace('6388', String(to)));
        return new Promise((resolve) => spawn(process.execPath, program).on('close', resolve));
      };
      expect(await probe(port)).toBe(0);
      expect(command.stderr).not.toMatch(/WARN|ERROR/);

      const stopped = performance.now();
      command.signal('SIGTERM');
      expect(await command.exit).toBe(0);
      expect(performance.now() - stopped).toBeLessThan(graceS * 1000);
      expect(await probe(port)).toBe(1);
    },
  );

  it('ends well, or is killed while Node starts, however early a signal comes', async () => {
    const codes: (number | null)[] = [];
    for (let delay = 0; codes.filter((code) => code === 0).length < 5 && delay < 5000; delay += 10) {
      const command = daemon([]);
      await new Promise((resolve) => setTimeout(resolve, delay));
      command.signal('SIGTERM');
      codes.push(await command.exit);
      expect(command.stderr).not.toMatch(/Error|at /);
    }
    expect(codes.filter((code) => code !== 0 && code !== null)).toEqual([]);
    expect(codes).toContain(0);
  });

  it('listens to signals before it has loaded anything else', async () => {
    // A module that is loaded by the daemon, and takes its time.
    const loader = join(folder, 'slow.mjs');
    await writeFile(
      loader,
      `
        export async function load(url, context, next) {
          const loaded = await next(url, context);
          if (url.endsWith('/server.js')) {
            process._rawDebug('loading');
            await new Promise((resolve) => setTimeout(resolve, 1000));
          }
          return loaded;
        }
      `,
    );
    const command = start(['daemon', '-port', '0'], {
      NODE_OPTIONS: `--no-warnings --experimental-loader=${loader}`,
    });
    await until(() => command.stderr.includes('loading'), 'the loading');
    command.signal('SIGTERM');
    expect(await command.exit).toBe(0);
  });

  it('opens no inspector at SIGUSR1', async () => {
    const command = daemon([]);
    const wire = await talk(command);
    command.signal('SIGUSR1');
    for (let i = 0; i < 20; i++) expect(await wire.ask(PING)).toBe('ok');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await wire.ask(PING)).toBe('ok');
    wire.destroy();
    command.signal('SIGTERM');
    expect(await command.exit).toBe(0);
    expect(command.stderr).not.toMatch(/debugger/i);
  });

  it('takes the bytes of a token file, whatever they encode', async () => {
    await writeFile(join(folder, 'latin1'), Buffer.from(' s\xe9cret\xff\n', 'latin1'));
    const wire = await talk(daemon(['-auth-token-file', join(folder, 'latin1')]));
    expect(await wire.ask('auth\n_\ns\xe9cret\xff\n')).toBe('ok');
    wire.destroy();
  });

  it('ignores a second signal while it waits for who is connected', async () => {
    const command = daemon([]);
    const wire = await talk(command);
    expect(await wire.ask(acquire('k'))).toMatch(GRANT);
    command.signal('SIGTERM');
    await until(() => command.stderr.includes('shutting down'), 'the shutdown');
    command.signal('SIGTERM');
    command.signal('SIGINT');
    expect(await wire.ask(PING)).toBe('error_draining');
    expect(await command.exit).toBe(0);
  });

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
    const { code, stdout, stderr } = await ended(['daemon', ...args]);
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
    const { code, stdout, stderr } = await ended(['daemon', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^configuration error: /);
    expect(stderr).toMatch(message);
  });

  it('names the flag, not only the option of the library', async () => {
    expect((await ended(['daemon', '-max-locks', '0'])).stderr).toContain('max-locks');
  });

  it('says that a port is in use, and ends with 1', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await until(() => server.listening);
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await ended(['daemon', '-port', String(port)]);
    server.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}.*in use`));
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
    const { code, stderr } = await ended(['daemon'], { DFLOCKD_PORT: '70000' });
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
    const file = join(folder, 'token');
    const env = { DFLOCKD_AUTH_TOKEN: 'from-env', DFLOCKD_AUTH_TOKEN_FILE: file };
    expect(await wants('from-flag', ['-auth-token', 'from-flag', '-auth-token-file', file], env)).toBe(true);
    expect(await wants('from-file', ['-auth-token-file', file], env)).toBe(true);
    expect(await wants('from-env', [], env)).toBe(true);
    expect(await wants('from-file', [], { DFLOCKD_AUTH_TOKEN_FILE: file })).toBe(true);
    expect(await wants('from-env', ['-auth-token='], env)).toBe(true);
    expect(await wants('from-flag', ['-auth-token', ' from-flag\t'], env)).toBe(true);
  }, 20_000);

  it('serves HTTP beside TCP, says where, and ends with 1 if the port is taken', async () => {
    const port = String(await freePort());
    const first = daemon(['-http-port', port]);
    await until(() => first.stderr.includes('http listening'));
    expect(first.stderr).toMatch(new RegExp(`msg="http listening" addr=127\\.0\\.0\\.1:${port}\n`));
    expect(await (await fetch(`http://127.0.0.1:${port}/ready`)).json()).toEqual({ status: 'ok' });
    const { code, stderr } = await ended(['daemon', '-port', '0', '-http-port', port]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(`127\\.0\\.0\\.1:${port}.*in use`) });
  });

  it('listens on IPv6 and writes the address as one', async () => {
    const command = daemon(['-host', '::1']);
    const address = await command.listening().catch(() => undefined);
    if (!address) return; // a machine without IPv6
    expect(command.stderr).toContain(`addr=[::1]:${address.port}`);
  });

  it('says nothing of the token, not even with -debug', async () => {
    const command = daemon(['-debug', '-auth-token', 'very-secret']);
    const wire = await talk(command);
    expect(await wire.ask('auth\n_\nother-secret\n')).toBe('error_auth');
    await wire.whenClosed();
    await turns();
    command.signal('SIGTERM');
    expect(await command.exit).toBe(0);
    expect(command.stderr).not.toContain('secret');
  });

  it('keeps what a collection may find alive small, which nobody is served during, unless it is told another size', async () => {
    const watch = join(folder, 'watch-heap.cjs');
    await writeFile(watch, WATCH_HEAP);
    const KEYS = 30_000;
    const requests = Array.from({ length: KEYS }, (_, i) => acquire(`key:${i}`)).join('');
    async function youngMB(options: string): Promise<number> {
      const command = daemon(['-max-locks', String(KEYS)], { NODE_OPTIONS: `--require=${watch} ${options}` });
      const wire = await talk(command);
      wire.send(requests);
      await wire.read(KEYS, 20_000);
      command.signal('SIGUSR2');
      const said = await until(() => /young (\d+)/.exec(command.stdout), 'the size of the young generation');
      wire.destroy();
      return Number(said[1]) / 2 ** 20;
    }
    // 2 with Node 20 and 22, 4.5 with 24; 32 and 64 if it may grow.
    expect(await youngMB('')).toBeLessThan(8);
    expect(await youngMB('--max-semi-space-size=16')).toBeGreaterThan(8);
  }, 60_000);

  it('runs a server for clients of lockd alone', async () => {
    const command = start(['lockd', '-t', '0']);
    const said = await until(
      () => /^Listening on \{"tcp":"127\.0\.0\.1:(\d+)"\}\n$/.exec(command.stdout),
      'the address',
    );
    const wire = await Wire.tcp({ host: '127.0.0.1', port: Number(said[1]) });
    expect(await wire.ask('g k\n')).toBe('1 Lock Get Success: k');
    wire.destroy();
    command.signal('SIGTERM');
    expect(await command.exit).toBe(0);
  });

  it('has a port for clients of lockd only if it is told to, and loads nothing of it otherwise', async () => {
    const command = daemon(['-lockd-port', '0', '-lockd-dump=false']);
    await talk(command);
    const [, port] = await until(
      () => /msg="lockd listening" addr=127\.0\.0\.1:(\d+)/.exec(command.stderr),
      'the port',
    );
    const wire = await Wire.tcp({ host: '127.0.0.1', port: Number(port) });
    expect(await wire.ask('dump\n')).toBe('0 disabled');
    wire.destroy();
    const [away, back] = ['daemon/lockd', 'protocol/lockd'].map((room) => [commandLine.file(room), commandLine.file(`${room}-away`)] as const); // prettier-ignore
    for (const [from, to] of [away!, back!]) await rename(from, to);
    try {
      await talk(daemon([]));
      await expect(ended(['daemon', '-port', '0', '-lockd-port', '0'])).resolves.toMatchObject({ code: 1 });
    } finally {
      for (const [from, to] of [away!, back!]) await rename(to, from);
    }
  });
});
