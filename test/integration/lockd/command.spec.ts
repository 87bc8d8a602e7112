import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { lockdCommand } from '../../../lib/cli/lockd-command.js';
import { until } from '../../support/until.js';
import { Talker } from './harness.js';

/** The command in this process, and what it prints. */
function start(args: string[]) {
  const printed = { out: '', err: '' };
  let stop = (): void => {};
  const exit = lockdCommand(args, {
    env: {},
    out: (text) => (printed.out += text),
    err: (text) => (printed.err += text),
    onStop: (callback) => (stop = callback),
    version: '1.2.3',
  });
  return { printed, exit, stop: () => stop() };
}

async function open(printed: { out: string }): Promise<Talker> {
  const said = await until(() => /^Listening on (\{.*\})\n$/.exec(printed.out), 'the address');
  const { tcp } = JSON.parse(said[1]!) as { tcp: string };
  const [host, port] = tcp.split(':') as [string, string];
  return Talker.open({ host, port: Number(port) });
}

describe('nestjs-dflockd lockd', () => {
  it('serves clients until it is asked to stop, and then until nobody holds a lock', async () => {
    const { printed, exit, stop } = start(['-t', '127.0.0.1:0']);
    const [holder, other] = [await open(printed), await open(printed)];
    expect(await holder.say('iam me\ng k\nd\n')).toBe('1 ok\n1 Lock Get Success: k\nk: me\n');
    stop();
    await other.wire.whenClosed();
    expect(await holder.say('g other\nsg other\ni k\n')).toBe(
      '0 Lock Get Failure: other\n0 Shared Lock Get Failure: other\n1 Lock Is Locked: k\n',
    );
    holder.wire.send('r k\n');
    await holder.wire.whenClosed();
    expect(holder.wire.received).toBe('1 Lock Release Success: k\n');
    expect(await exit).toBe(0);
  });

  it('takes more names in a short time than a dflockd daemon would', async () => {
    const { printed, exit, stop } = start(['-t', '0', '--disable-dump', '--disable-registry']);
    const talker = await open(printed);
    const lines = Array.from({ length: 2000 }, (_, n) => `g ${n}\nr ${n}\n`).join('');
    expect((await talker.say(lines)).match(/^1 /gm)).toHaveLength(4000);
    expect(await talker.say('d\niam x\nwho\n')).toBe('0 disabled\n0 disabled\n0 disabled\n');
    stop();
    await exit;
  });

  it.each([
    [['-t', 'a b'], 'Invalid [host:]port string: a b'],
    [['-t', '65536'], 'Port 65536 is not valid.'],
    [['-t'], 'flag needs an argument: -t'],
    [['--disabled-dump'], 'flag provided but not defined: -disabled-dump'],
  ])('refuses %j', async (args, what) => {
    const { printed, exit } = start(args);
    expect(await exit).toBe(1);
    expect(printed).toEqual({ out: '', err: expect.stringContaining(what) });
  });

  it('ends with 1 if the port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { printed, exit } = start(['-t', `${port}`]);
    expect(await exit).toBe(1);
    expect(printed.err).toContain(`127.0.0.1:${port}, the address for clients of lockd, is already in use`);
    taken.close();
  });
});
