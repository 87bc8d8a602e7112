import { times } from '../support/goals.mjs';
import { slice } from '../support/stage.mjs';

/** Each on a daemon of its own, so that no contestant gets the signals of another. */
const signalsTo = (name, { listeners, slow = 0, counted = listeners }, more = {}) => ({
  name,
  unit: 'deliveries',
  ...more,
  async start(stage) {
    const server = await stage.server('daemon.mjs', name);
    const client = await stage.client('signal-listeners.mjs', [stage.moduleUrl('entries/client.js')], stage.nodeFlags);
    const { host, port } = server;
    await client.ask('open', { host, port, listeners, slow, counted });
    return { slice: (ms) => slice(client, server, ms) };
  },
});

const ELEVEN = '10 listeners, and one more whose signals do not count';

export const signals = [
  signalsTo('1 listener', { listeners: 1 }),
  signalsTo('10 listeners', { listeners: 10 }),
  signalsTo('1,000 listeners', { listeners: 1000 }),
  signalsTo(ELEVEN, { listeners: 11, counted: 10 }),
  signalsTo(
    '10 listeners, and one that never reads',
    { listeners: 10, slow: 1 },
    { versus: [ELEVEN], goals: [times(0.95, ELEVEN, 'with one more that reads')] },
  ),
];
