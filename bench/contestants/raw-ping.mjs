import { slice } from '../support/stage.mjs';

/** The baseline: one connection to an echo server, one message under way. */
export const rawPing = {
  name: 'raw TCP ping-pong',
  unit: 'round trips',
  async start(stage) {
    const server = await stage.server('echo-server.mjs', 'ping');
    const client = await stage.client('echo-client.mjs');
    const { host, port } = server;
    await client.ask('connect', { host, port, connections: 1 });
    return {
      async slice(ms) {
        const measured = await slice(client, server, ms);
        return { ...measured, count: 2 * measured.count };
      },
    };
  },
};
