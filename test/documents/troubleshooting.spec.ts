import { beforeAll, describe, expect, it } from '@jest/globals';
import { blocksOf, type Block } from './pages.js';
import { DEAR_TROUBLES, TROUBLES } from './troubles.js';

const quoted = blocksOf('docs/troubleshooting.md').filter(({ language }) => language === 'text');

/** Whether it is what a page quotes; Nest's own messages go on with advice. */
function matches({ code }: Block, message: string): boolean {
  const [line] = code.trimEnd().split('\n');
  const pattern = line!
    .split('…')
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^(Error: )?${pattern}$`).test(message.split('\n')[0]!);
}

const all = process.env.TYPES === 'all';
const troubles = { ...TROUBLES, ...(all ? DEAR_TROUBLES : {}) };

describe('docs/troubleshooting.md', () => {
  const said = new Map<string, Promise<string>>();

  beforeAll(async () => {
    for (const [name, provoke] of Object.entries(troubles)) said.set(name, provoke());
    await Promise.allSettled(said.values());
  });

  it.each(Object.keys(troubles))('quotes what is said: %s', async (name) => {
    const message = await said.get(name)!;
    if (!quoted.some((block) => matches(block, message))) throw new Error(`the page does not have: ${message}`);
  });

  it('quotes nothing else', async () => {
    const messages = await Promise.all(said.values());
    const others = quoted.filter((block) => !messages.some((message) => matches(block, message)));
    expect(others.length).toBe(all ? 0 : Object.keys(DEAR_TROUBLES).length);
    expect(quoted.length).toBeGreaterThan(25);
  });
});
