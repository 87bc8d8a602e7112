import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { PgClient } from '../../../../../lib/backends/postgres/sessions/pg-client.js';
import { PgSession } from '../../../../../lib/backends/postgres/sessions/pg-session.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import { until } from '../../../../support/until.js';
import { answerOf, TERMINATED, WireServer } from './wire-server.js';

/** On a real client of pg and a real socket: what the session knows, and in which turn of the event loop. */
describe('a session that the server ends as soon as it has answered', () => {
  let server: WireServer;
  let client: Client;
  let session: PgSession;
  let said: string[];

  beforeEach(async () => {
    server = await WireServer.start();
    client = new Client({ host: '127.0.0.1', port: server.port, user: 'u', database: 'd' });
    await client.connect();
    session = new PgSession(client as unknown as PgClient, 'wait', 'db', 10_000, new FakeClock());
    said = [];
    session.onEnd(() => said.push('ended'));
    session.send({
      ...{ name: 'wait', text: 'select 1', values: [], waits: true, sentAt: 0 },
      answered: ([row]) => said.push(`answered ${row![0]}`),
      failed: () => said.push('failed'),
      ended: () => said.push('told of the end'),
    });
    await once(server.socket, 'data');
  });

  afterEach(() => server.close());

  /** The socket of the client. */
  const stream = (): NodeJS.EventEmitter =>
    (client as unknown as { connection: { stream: NodeJS.EventEmitter } }).connection.stream;

  it('in the same packet, knows of the end before anybody who was told the answer goes on', async () => {
    const read = once(stream(), 'data').then(() => [...said]);
    server.socket.end(Buffer.concat([answerOf('7'), TERMINATED]));
    expect(await read).toEqual(['answered 7', 'ended']);
  });

  it('without a word, knows of the end in the turn in which it is read, not once the socket is closed', async () => {
    const read = once(stream(), 'end').then(() => [...said]);
    const closed = once(stream(), 'close');
    server.socket.end(answerOf('7'));
    expect(await read).toEqual(['answered 7', 'ended']);
    await closed;
    expect(said).toEqual(['answered 7', 'ended']);
  });

  it('by a reset, knows of the end when it is read', async () => {
    const read = once(stream(), 'error').then(() => [...said]);
    server.socket.write(answerOf('7'));
    await until(() => said.length === 1);
    server.socket.resetAndDestroy();
    expect(await read).toEqual(['answered 7', 'ended']);
  });

  it('and whose answer never arrives whole, tells nobody of it', async () => {
    server.socket.end(answerOf('7').subarray(0, -1));
    await until(() => said.length > 0);
    expect(said).toEqual(['ended', 'told of the end']);
  });
});
