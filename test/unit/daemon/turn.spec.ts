import { describe, expect, it } from '@jest/globals';
import { Turn } from '../../../lib/daemon/turn.js';
import { systemClock } from '../../../lib/common/system.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Turn', () => {
  function listening() {
    const spoken: string[] = [];
    const turn = new Turn(systemClock, () => spoken.push('heard'));
    const talker = (name: string) => ({ speak: () => void spoken.push(name) });
    return { spoken, turn, talker };
  }

  it('lets all that were heard in a turn speak at its end, in the order in which they were heard', async () => {
    const { spoken, turn, talker } = listening();
    expect(turn.defers(talker('a'))).toBe(true);
    expect(turn.defers(talker('b'))).toBe(true);
    expect(spoken).toEqual([]);
    await nextTurn();
    expect(spoken).toEqual(['heard', 'a', 'b']);
  });

  it('does not make a talker wait that is heard alone time after time', async () => {
    const { spoken, turn, talker } = listening();
    const a = talker('a');
    expect(turn.defers(a)).toBe(true);
    await nextTurn();
    expect(turn.defers(a)).toBe(false);
    expect(turn.defers(talker('b'))).toBe(true);
    // Somebody waits for the end of this turn already: the order is kept.
    expect(turn.defers(a)).toBe(true);
    await nextTurn();
    expect(spoken).toEqual(['heard', 'a', 'heard', 'b', 'a']);
  });

  it('lets who is heard while others speak wait for the next turn', async () => {
    const { spoken, turn, talker } = listening();
    const late = talker('late');
    turn.defers({ speak: () => void turn.defers(late) });
    await nextTurn();
    expect(spoken).toEqual(['heard']);
    await nextTurn();
    expect(spoken).toEqual(['heard', 'heard', 'late']);
  });

  it('counts how often another talker is heard than before', async () => {
    const { turn, talker } = listening();
    const [a, b] = [talker('a'), talker('b')];
    turn.defers(a);
    await nextTurn();
    turn.defers(a);
    turn.defers(a);
    expect(turn.changes).toBe(1);
    turn.defers(b);
    await nextTurn();
    turn.defers(a);
    expect(turn.changes).toBe(3);
  });
});
