import { perSecond } from '../support/goals.mjs';
import { slice } from '../support/stage.mjs';

/** The engine in one process, without protocol and sockets. */
export const engine = {
  name: 'engine alone',
  unit: 'pairs',
  goals: [perSecond(1_000_000)],
  async start(stage) {
    const modules = ['core/engine.js', 'core/tokens.js', 'common/system.js', 'core/types.js'];
    const client = await stage.client(
      'engine.mjs',
      modules.map((path) => stage.moduleUrl(path)),
    );
    return { slice: (ms) => slice(client, undefined, ms) };
  },
};
