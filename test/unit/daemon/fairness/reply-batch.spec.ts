import { describe, expect, it } from '@jest/globals';
import { ReplyBatch } from '../../../../lib/daemon/fairness/reply-batch.js';
import { systemClock } from '../../../../lib/common/system.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a reply batch', () => {
  function listening() {
    const spoken: string[] = [];
    const replyBatch = new ReplyBatch(systemClock, () => spoken.push('heard'));
    const writer = (name: string) => ({ speak: () => void spoken.push(name) });
    return { spoken, replyBatch, writer };
  }

  it('lets all that were heard in a turn speak at its end, in the order in which they were heard', async () => {
    const { spoken, replyBatch, writer } = listening();
    expect(replyBatch.defers(writer('a'))).toBe(true);
    expect(replyBatch.defers(writer('b'))).toBe(true);
    expect(spoken).toEqual([]);
    await nextTurn();
    expect(spoken).toEqual(['heard', 'a', 'b']);
  });

  it('does not make a writer wait that is heard alone time after time', async () => {
    const { spoken, replyBatch, writer } = listening();
    const a = writer('a');
    expect(replyBatch.defers(a)).toBe(true);
    await nextTurn();
    expect(replyBatch.defers(a)).toBe(false);
    expect(replyBatch.defers(writer('b'))).toBe(true);
    // Somebody waits for the end of this turn already: the order is kept.
    expect(replyBatch.defers(a)).toBe(true);
    await nextTurn();
    expect(spoken).toEqual(['heard', 'a', 'heard', 'b', 'a']);
  });

  it('lets who is heard while others speak wait for the next turn', async () => {
    const { spoken, replyBatch, writer } = listening();
    const late = writer('late');
    replyBatch.defers({ speak: () => void replyBatch.defers(late) });
    await nextTurn();
    expect(spoken).toEqual(['heard']);
    await nextTurn();
    expect(spoken).toEqual(['heard', 'heard', 'late']);
  });

  it('counts how often another writer is heard than before', async () => {
    const { replyBatch, writer } = listening();
    const [a, b] = [writer('a'), writer('b')];
    replyBatch.defers(a);
    await nextTurn();
    replyBatch.defers(a);
    replyBatch.defers(a);
    expect(replyBatch.changes).toBe(1);
    replyBatch.defers(b);
    await nextTurn();
    replyBatch.defers(a);
    expect(replyBatch.changes).toBe(3);
  });
});
