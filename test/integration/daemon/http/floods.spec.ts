import { once } from 'node:events';
import { createServer, ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { createHttpHandler } from '../../../../lib/daemon/create-http-handler.js';
import { HttpConnection } from '../../../../lib/daemon/http/exchange/http-connection.js';
import { DflockdServer } from '../../../../lib/daemon/server.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { keptByTheKernel } from '../../../support/unsent.js';
import { until } from '../../../support/until.js';
import { turns } from '../harness.js';
import { connectTo, inSession, request, useHttpDaemons } from './harness.js';

/** A clock by which everything takes time: a hundredth of a millisecond for each look at it. */
class BusyClock extends FakeClock {
  override now(): number {
    this.stall(0.01);
    return super.now();
  }
}

const CONNECTIONS = 30;
const REQUESTS = 300;

/** How many answers are given in a turn of the event loop at most, until it is stopped. */
function answersPerTurn(): () => number {
  const ends = jest.spyOn(ServerResponse.prototype, 'end');
  let most = 0;
  let before = 0;
  let goesOn = true;
  const look = (): void => {
    most = Math.max(most, ends.mock.calls.length - before);
    before = ends.mock.calls.length;
    if (goesOn) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    goesOn = false;
    ends.mockRestore();
    return most;
  };
}

describe('many clients that pipeline requests', () => {
  const start = useHttpDaemons();
  afterEach(() => void jest.restoreAllMocks());

  it('are served a few requests in a turn, all together, and are all answered', async () => {
    const daemon = await start({ readTimeout: 3600 }, { clock: new BusyClock() });
    const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => daemon.open()));
    const stop = answersPerTurn();
    for (const wire of wires) wire.send(request('GET', '/health').repeat(REQUESTS));
    await until(() => wires.every(({ received }) => received.split('{"status":"ok"}').length === REQUESTS + 1));
    expect(stop()).toBeLessThan(100);
  });

  it('get the answers that are given in one go in one write', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    const handed = jest.spyOn(Socket.prototype as Required<Socket>, '_writev');
    wire.send(request('GET', '/health').repeat(REQUESTS));
    for (let i = 0; i < REQUESTS; i++) {
      const { status, body } = await wire.answer();
      expect([status, body]).toEqual([200, '{"status":"ok"}\n']);
    }
    expect(handed.mock.calls.length).toBeLessThan(REQUESTS / 4);
    expect(wire.received).toBe('');
  });

  it('are served no further while they do not read, and get all answers when they do', async () => {
    const MANY = 1000;
    const daemon = await start({ readTimeout: 3600 });
    const { body } = await daemon.ask('GET', '/v1/openapi.json');
    const wire = await daemon.open();
    const ends = jest.spyOn(ServerResponse.prototype, 'end');
    wire.socket.pause();
    wire.send(request('GET', '/v1/openapi.json').repeat(MANY));
    await until(async () => {
      const before = ends.mock.calls.length;
      await turns(200);
      return before > 0 && ends.mock.calls.length === before;
    });
    expect(ends.mock.calls.length * body.length).toBeLessThan((MANY * body.length) / 2);
    wire.socket.resume();
    for (let i = 0; i < MANY; i++) expect((await wire.answer()).body === body).toBe(true);
    expect(wire.received).toBe('');
  });

  it('are reset when they have not read for two minutes, so that the kernel keeps nothing for them', async () => {
    const clock = new FakeClock();
    const daemon = await start({ readTimeout: 3600 }, { clock });
    const deaf = await daemon.open();
    const ends = jest.spyOn(ServerResponse.prototype, 'end');
    const cuts = jest.spyOn(HttpConnection.prototype, 'cutOff');
    deaf.socket.pause();
    const written = (): boolean => (ends.mock.contexts.at(-1) as ServerResponse).writableFinished;
    for (let asked = 1; asked === 1 || written(); asked++) {
      deaf.send(request('GET', '/v1/openapi.json'));
      await until(() => ends.mock.calls.length === asked);
      await turns(2);
    }
    await until(async () => (await clock.advanceAsync(1_000), cuts.mock.calls.length > 0));
    for (const spy of [ends, cuts]) spy.mockRestore();
    await turns(20);
    expect(keptByTheKernel(daemon.port)).toBe(0);
    deaf.socket.resume();
    expect(await deaf.rest()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect((await daemon.ask('GET', '/health')).status).toBe(200);
  });

  it('may end with a stream of signals, whose events come as they are sent', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    wire.send(request('GET', '/health').repeat(20) + request('GET', '/v1/signals?pattern=a'));
    for (let i = 0; i < 20; i++) expect((await wire.answer()).status).toBe(200);
    await until(() => wire.received.includes(':ok'));
    for (const payload of ['one', 'two']) {
      expect((await daemon.ask('POST', '/v1/signals/a', JSON.stringify({ payload }))).body).toBe('{"delivered":1}\n');
      await until(() => wire.received.includes(`"payload":"${payload}"`));
    }
  });
});

describe('many requests to a handler that is mounted in an application', () => {
  afterEach(() => void jest.restoreAllMocks());

  it('are served a few in a turn, all together, and are all answered', async () => {
    const server = new DflockdServer({ readTimeout: 3600 }, { clock: new BusyClock() });
    const app = createServer(createHttpHandler(server)).listen(0, '127.0.0.1');
    await once(app, 'listening');
    const { port } = app.address() as AddressInfo;
    const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => connectTo(port)));
    // The first request loads the interface.
    await wires[0]!.ask(request('GET', '/health'));
    const stop = answersPerTurn();
    for (const wire of wires) wire.send(request('GET', '/health').repeat(30));
    await until(() => wires.every(({ received }) => received.split('{"status":"ok"}').length === 31));
    expect(stop()).toBeLessThan(70);
    for (const wire of wires) wire.destroy();
    await server.close();
    app.close();
  });
});

describe('many requests that wait', () => {
  const WAITING = 100;
  const start = useHttpDaemons();
  afterEach(() => void jest.restoreAllMocks());

  it('are answered a few in a turn when their waits end together', async () => {
    const clock = new BusyClock();
    const daemon = await start({ readTimeout: 3600, httpSessionIdleTimeout: 0 }, { clock });
    await daemon.in(await daemon.session(), '/v1/locks/k', { lease_ttl_s: 1000 });
    const wires = await Promise.all(Array.from({ length: WAITING }, () => daemon.open()));
    for (const wire of wires) {
      const id = await daemon.session();
      wire.send(request('POST', '/v1/locks/k', '{"acquire_timeout_s":60}', inSession(id)));
    }
    await until(async () => (await daemon.ask('GET', '/metrics')).body.includes(`dflockd_lock_waiters ${WAITING}\n`));
    const stop = answersPerTurn();
    clock.stall(100_000);
    await until(() => {
      clock.advance(1);
      return wires.every(({ received }) => received.includes('"timeout"'));
    });
    expect(stop()).toBeLessThan(80);
  });

  it('are answered a few in a turn when their session is deleted', async () => {
    const daemon = await start({ readTimeout: 3600 }, { clock: new BusyClock() });
    await daemon.in(await daemon.session(), '/v1/locks/k', { lease_ttl_s: 1000 });
    const id = await daemon.session();
    const wires = await Promise.all(Array.from({ length: WAITING }, () => daemon.open()));
    for (const wire of wires) wire.send(request('POST', '/v1/locks/k', '{"acquire_timeout_s":60}', inSession(id)));
    await turns(20);
    const stop = answersPerTurn();
    expect((await daemon.ask('DELETE', `/v1/sessions/${id}`)).status).toBe(204);
    await until(() => wires.every(({ received }) => received.includes('session_gone')));
    expect(stop()).toBeLessThan(80);
  });
});
