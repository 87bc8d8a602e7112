import { afterEach, describe, expect, it } from '@jest/globals';
import { DflockdServer } from '../../../../lib/daemon/server.js';
import type { DflockdServerOptions } from '../../../../lib/daemon/shared/options.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { StuckSocket } from '../../../support/stuck-socket.js';
import { until } from '../../../support/until.js';

const PING = 'ping\n_\n\n';
const LISTEN = 'listen\na\n\n';
const SIGNAL = 'signal\na\nx\n';

const servers: DflockdServer[] = [];
const sockets: StuckSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A daemon on virtual time, and a client of it whose socket can be stuck. */
function scene(options: DflockdServerOptions = {}) {
  const clock = new FakeClock();
  const server = new DflockdServer({ writeTimeout: 5, readTimeout: 60, ...options }, { clock });
  servers.push(server);
  const open = (): StuckSocket => {
    const socket = new StuckSocket();
    sockets.push(socket);
    server.handle(socket, 'peer');
    return socket;
  };
  /** Lets time pass until the connection has ended. */
  const end = (socket: StuckSocket): Promise<unknown> =>
    until(async () => (await clock.advanceAsync(100), socket.closed), 'the end of the connection');
  return { clock, server, open, end };
}

describe('a session is reset', () => {
  it('if it is evicted as a listener', async () => {
    const { clock, open, end } = scene({ writeTimeout: 0 });
    const [deaf, publisher] = [open(), open()];
    deaf.say(LISTEN);
    await until(() => deaf.taken === 'ok\n');
    deaf.isStuck = true;
    for (let sent = 0; !publisher.taken.endsWith('ok 0\n'); sent++) {
      expect(sent).toBeLessThan(100);
      publisher.say(SIGNAL);
      await until(() => publisher.taken.split('\n').length === sent + 2);
      await clock.advanceAsync(1);
    }
    await end(deaf);
    expect([deaf.resets, publisher.resets, publisher.destroyed]).toEqual([1, 0, false]);
  });

  it('if a reply is unread for the write timeout', async () => {
    const { open, end } = scene();
    const deaf = open();
    deaf.isStuck = true;
    deaf.say(PING);
    await end(deaf);
    expect(deaf.resets).toBe(1);
  });

  it('if its last line is unread for the write timeout', async () => {
    const { open, end } = scene();
    const deaf = open();
    deaf.isStuck = true;
    deaf.say(`${PING}${'x'.repeat(300)}\n`);
    await end(deaf);
    expect(deaf.resets).toBe(1);
  });
});

describe('a session is not reset', () => {
  it.each<[string, string, string, DflockdServerOptions]>([
    ['if its first request is not the token', PING, 'error_auth\n', { authToken: 'right' }],
    ['if a line is too long', `${'x'.repeat(300)}\n`, 'error\n', {}],
    ['if it is silent', '', 'error\n', {}],
    ['if it drains', '', 'error_draining\n', { shutdownTimeout: 30 }],
  ])('%s', async (_name, said, last, options) => {
    const { server, open, end } = scene(options);
    const socket = open();
    if (last === 'error_draining\n') {
      void server.close();
      socket.say(PING);
    } else {
      socket.say(said);
    }
    await end(socket);
    expect([socket.taken, socket.resets]).toEqual([last, 0]);
  });

  it.each(['reads', 'does not read'])('if its peer %s and closes while it waits', async (how) => {
    const { open, end } = scene();
    const [holder, waiter] = [open(), open()];
    holder.say('l\nk\n0\n');
    waiter.say('l\nk\n30\n');
    await until(() => holder.taken !== '');
    waiter.isStuck = how !== 'reads';
    waiter.fin();
    await end(waiter);
    expect(waiter.resets).toBe(0);
  });

  it('if too much follows a command that waits', async () => {
    const { open, end } = scene();
    const [holder, waiter] = [open(), open()];
    holder.say('l\nk\n0\n');
    await until(() => holder.taken !== '');
    waiter.isStuck = true;
    waiter.say(`${PING}l\nk\n30\n${PING.repeat(1000)}`);
    await end(waiter);
    expect(waiter.resets).toBe(0);
  });
});
