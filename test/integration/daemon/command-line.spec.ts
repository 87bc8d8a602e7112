import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Command, CommandLine } from '../../support/command-line.js';
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
    ['wrong syntax', ['-bogus'], /^flag provided but not defined: -bogus\n[^]*-port int/],
    ['a wrong configuration', ['-port', '65536'], /^configuration error: .*port.*65536/],
  ])('explains %s, and ends with 1', async (_, args, message) => {
    expect(await ended(['daemon', ...args])).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
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
