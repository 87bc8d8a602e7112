import { times } from '../support/goals.mjs';
import { slice } from '../support/stage.mjs';

const ECHO_GOAL = 0.8;

const echoName = (connections) => `echo server, ${connections} connections`;

/** The same number of connections to a bare echo server, with as many round trips and bytes sent. */
export const echoConnections = (connections) => ({
  name: echoName(connections),
  unit: 'pairs',
  async start(stage) {
    const server = await stage.server('echo-server.mjs', 'connections');
    const client = await stage.client('echo-client.mjs');
    const { host, port } = server;
    await client.ask('connect', { host, port, connections, depth: 1 });
    return { slice: (ms) => slice(client, server, ms) };
  },
});

/** Connections, each of which acquires and releases its own key, one request at a time. */
export const lockConnections = (connections) => ({
  name: `daemon, ${connections} connections`,
  unit: 'pairs',
  versus: [echoName(connections)],
  goals: [times(ECHO_GOAL, echoName(connections), 'echo')],
  async start(stage) {
    const server = await stage.server('daemon.mjs', 'connections');
    const client = await stage.client('lock-client.mjs');
    const { host, port } = server;
    await client.ask('connect', { host, port, connections, depth: 1 });
    return { slice: (ms) => slice(client, server, ms) };
  },
});
