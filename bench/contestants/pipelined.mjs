import { slice } from '../support/stage.mjs';

/**
 * A minimal pipelining client: one connection, `depth` keys of its own.
 *
 * @param {number} depth @param {{ goal?: object }} [rest]
 */
export const pipelined = (depth, rest = {}) => ({
  name: `daemon, pipelined, depth ${depth}`,
  unit: 'pairs',
  ...rest,
  async start(stage) {
    const server = await stage.server('daemon.mjs', 'pipelined');
    const client = await stage.client('lock-client.mjs');
    const { host, port } = server;
    await client.ask('connect', { host, port, connections: 1, depth });
    return { slice: (ms) => slice(client, server, ms) };
  },
});
