import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { Connector, type Target } from '../../../../../lib/backends/dflockd/lanes/connector.js';
import type { LockError } from '../../../../../lib/common/errors.js';
import type { Wire } from '../../../../../lib/backends/dflockd/lanes/wire.js';
import { selfSigned } from '../../../../support/certificates.js';
import { until } from '../../../../support/until.js';
import { fakeContext, type FakeContext } from '../support/fake-context.js';
import { FakeServer } from '../support/fake-server.js';

let server: FakeServer;
let context: FakeContext;
let connector: Connector;
let wires: Wire[];
let errors: LockError[];

beforeEach(async () => {
  server = await FakeServer.start();
  context = fakeContext(server);
  [wires, errors] = [[], []];
});

afterEach(async () => {
  connector.abort();
  expect(context.alarms.size).toBe(0);
  for (const { socket } of wires) socket.destroy();
  await server.close();
});

function dial(change: Partial<Target> = {}): Socket {
  const { clock, alarms, target } = context;
  connector = new Connector({ ...target, ...change }, clock, alarms, {
    connected: (wire) => wires.push(wire),
    failed: (error) => errors.push(error),
  });
  return (connector as unknown as { wire: Wire }).wire.socket;
}

const broken = (code: string | undefined, message = 'broken'): Error => Object.assign(new Error(message), { code });

describe('what TLS says no with', () => {
  it.each([
    'CERT_HAS_EXPIRED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'ERR_OSSL_X509_KEY_VALUES_MISMATCH',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'EPROTO',
  ])('%s is a mistake of the options', async (code) => {
    const cause = broken(code);
    dial({ tls: {} }).destroy(cause);
    await until(() => errors.length > 0);
    const { label } = server.endpoint;
    expect(errors).toEqual([
      expect.objectContaining({ code: 'CONFIG', message: `option remote.tls: ${label}: broken`, server: label, cause }),
    ]);
  });

  it.each(['ECONNRESET', 'NO_CERT_', 'EPROTONOSUPPORT', undefined])('is not %s', async (code) => {
    dial({ tls: {} }).destroy(broken(code));
    await until(() => errors.length > 0);
    expect(errors[0]!.code).toBe('UNAVAILABLE');
  });

  it('is nothing without TLS', async () => {
    dial().destroy(broken('EPROTO'));
    await until(() => errors.length > 0);
    expect(errors[0]!.code).toBe('UNAVAILABLE');
  });
});

describe('an attempt that fails', () => {
  it('says why, by the code where there are no words, once', async () => {
    const cause = broken('EHOSTUNREACH', '');
    dial().destroy(cause);
    await until(() => errors.length > 0);
    await new Promise((resolve) => setImmediate(resolve));
    const { label } = server.endpoint;
    const message = `cannot reach ${label}: EHOSTUNREACH`;
    expect(errors).toEqual([expect.objectContaining({ code: 'UNAVAILABLE', message, server: label, cause })]);
    expect(wires).toEqual([]);
  });

  it('is over in time, and closes its connection', async () => {
    const socket = dial({ auth: 'x' });
    await until(() => server.peers[0]?.requests.length);
    context.clock.advance(999);
    expect(errors).toEqual([]);
    context.clock.advance(1);
    expect(errors[0]!.message).toMatch(/no answer to "auth" within 1000 ms/);
    expect(socket.destroyed).toBe(true);
  });

  it('quotes no more than 80 characters of an answer that makes no sense', async () => {
    server.script = () => `${'x'.repeat(100)}\n`;
    dial({ auth: 'token' });
    await until(() => errors.length > 0);
    expect(errors[0]!.message).toMatch(/something other than dflockd answered: "x{80}"$/);
  });

  it('names the server and its address in what it says of auth', async () => {
    const { label } = server.endpoint;
    server.script = () => 'error\n';
    dial({ auth: 'x' });
    await until(() => errors.length > 0);
    expect(errors[0]).toMatchObject({ message: `option remote.auth: ${label} takes no auth token`, server: label });
    server.script = () => 'error_auth\n';
    dial({ auth: 'x' });
    await until(() => errors.length > 1);
    expect(errors[1]).toMatchObject({ code: 'AUTH', server: label });
  });

  it('waits for the end of an answer that comes in pieces', async () => {
    server.script = (_, peer) => {
      peer.say('o');
      return undefined;
    };
    const socket = dial({ auth: 'x' });
    await until(() => socket.bytesRead === 1);
    expect([wires.length, errors]).toEqual([0, []]);
    server.peers[0]!.say('k\n');
    await until(() => wires.length > 0);
    expect(errors).toEqual([]);
  });

  it('blames the options that Node refuses', () => {
    dial();
    const { label } = server.endpoint;
    let thrown: unknown;
    try {
      new Connector({ ...context.target, tls: { minVersion: 'nonsense' as never } }, context.clock, context.alarms, {
        connected: () => undefined,
        failed: () => undefined,
      });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'CONFIG', server: label, cause: expect.anything() });
    expect((thrown as Error).message).toMatch(/^option remote.tls: .*nonsense/);
  });
});

describe('an attempt that succeeds', () => {
  it('in a process that stood still until after its time is no failure', async () => {
    const socket = dial();
    context.clock.stall(2000);
    context.clock.afterPoll(() => socket.emit('connect'));
    context.clock.advance(0);
    expect([wires.length, errors]).toEqual([1, []]);
  });

  it('is not undone by an abort, nor by its time', async () => {
    const socket = dial();
    await until(() => wires.length > 0);
    connector.abort();
    context.clock.advance(5000);
    expect([socket.destroyed, errors, socket.listenerCount('close'), socket.listenerCount('error')]).toEqual([
      false,
      [],
      0,
      0,
    ]);
  });

  it('after an abort is none', async () => {
    const socket = dial({ auth: 'x' });
    connector.abort();
    socket.emit('connect');
    expect([socket.destroyed, wires, errors, server.peers.length]).toEqual([true, [], [], 0]);
  });
});

describe('the name that TLS is asked for', () => {
  it.each([
    ['localhost', 'localhost'],
    ['127.0.0.1', false],
  ])('for %s is %s', async (host, name) => {
    const certificate = await selfSigned();
    const names: unknown[] = [];
    const secure: Server = createServer(certificate, (socket: TLSSocket) => {
      names.push(socket.servername);
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => secure.listen(0, resolve));
    const { port } = secure.address() as AddressInfo;
    dial({ endpoint: { host, port, label: 'tls' }, tls: { ca: certificate.cert } });
    await until(() => wires.length > 0 && names.length > 0);
    expect(names).toEqual([name]);
    for (const { socket } of wires) socket.destroy();
    await new Promise((resolve) => secure.close(resolve));
  });
});
