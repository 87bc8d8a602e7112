import { slice } from '../support/stage.mjs';

async function echo(stage, name, depth) {
  const server = await stage.server('echo-server.mjs', name);
  const client = await stage.client('echo-client.mjs');
  const { host, port } = server;
  await client.ask('connect', { host, port, connections: 1, depth });
  return (ms) => slice(client, server, ms);
}

/** One connection to an echo server, one message in flight. */
export const rawPing = {
  name: 'raw TCP ping-pong',
  unit: 'round trips',
  async start(stage) {
    const pairs = await echo(stage, 'ping', 1);
    return {
      async slice(ms) {
        const measured = await pairs(ms);
        return { ...measured, count: 2 * measured.count };
      },
    };
  },
};

/** One connection to an echo server, `depth` messages in flight. */
export const rawPipelined = (depth) => ({
  name: `raw TCP, pipelined, depth ${depth}`,
  unit: 'pairs',
  start: async (stage) => ({ slice: await echo(stage, 'pipelined', depth) }),
});
