import { slice } from '../support/stage.mjs';

/**
 * A minimal pipelining client: one connection with `depth` keys.
 *
 * @param {number} depth @param {import('../support/goals.mjs').Goal[]} [goals]
 */
export const pipelined = (depth, goals = []) => ({
  name: `daemon, pipelined, depth ${depth}`,
  unit: 'pairs',
  goals,
  async start(stage) {
    const server = await stage.server('daemon.mjs', 'pipelined');
    const client = await stage.client('lock-client.mjs');
    const { host, port } = server;
    await client.ask('connect', { host, port, connections: 1, depth });
    return { slice: (ms) => slice(client, server, ms) };
  },
});
