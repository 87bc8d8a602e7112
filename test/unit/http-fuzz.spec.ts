import { describe, expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for a script
import * as requests from '../http/mutated.mjs';
// @ts-expect-error -- plain JavaScript, for a script
import * as numbers from '../http/random.mjs';

interface Random {
  oneIn(n: number): boolean;
}
type Change = (random: Random, text: string) => string;
const Random = numbers.Random as new (seed: number) => Random;
const { mutated, validRequest, MUTATIONS } = requests as {
  mutated: Change;
  validRequest: (random: Random, state: object) => string;
  MUTATIONS: Change[];
};

const STATE = { sid: 's', token: 't', key: 'a' };

/** Never leaves out a rare change. */
class Eager extends Random {
  override oneIn(_n: number): boolean {
    return true;
  }
}

describe('The requests of the HTTP fuzzer', () => {
  it.each(MUTATIONS.map((change, index) => [index, change] as const))(
    'can be changed by mutation %i, and what it made too',
    (_, change) => {
      for (let seed = 1; seed <= 20; seed++) {
        const random = new Eager(seed);
        let text = validRequest(random, STATE);
        for (let times = 0; times < 3; times++) text = change(random, text);
        expect(typeof text).toBe('string');
      }
    },
  );

  it('are the same for the same seed', () => {
    const made = (seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: 200 }, () => mutated(random, validRequest(random, STATE)));
    };
    expect(made(7)).toEqual(made(7));
    expect(made(7)).not.toEqual(made(8));
  });
});
