import { describe, expect, it } from '@jest/globals';
import { EXCHANGES } from './exchanges.js';
import { left, type Talker, useLockd } from './harness.js';

describe('the observed exchanges, byte for byte', () => {
  const { serve, open } = useLockd();

  it.each(EXCHANGES)('$title', async ({ dump = true, registry = true, steps }) => {
    const server = await serve({ dump, registry });
    const talkers = new Map<string, Talker>();
    const addresses: Record<string, string> = {};
    for (const [who, says, answer] of steps) {
      let talker = talkers.get(who);
      if (!talker) {
        talker = await open(server);
        talkers.set(who, talker);
        addresses[who] = talker.address;
      }
      if (says === '-') {
        const { connections } = server;
        talker.wire.destroy();
        await left(server, connections - 1);
      } else {
        const expected = answer.replace(/\{([A-D])\}/g, (_, name: string) => addresses[name]!);
        expect({ who, says, answer: await talker.say(says) }).toEqual({ who, says, answer: expected });
      }
    }
  });
});
