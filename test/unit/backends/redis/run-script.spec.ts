import { beforeEach, describe, expect, it } from '@jest/globals';
import { runOn, runScript, scriptWords } from '../../../../lib/backends/redis/drivers/run-script.js';
import { script } from '../../../../lib/backends/redis/scripts/script.js';

const [one, two] = [script('one', 'return 1'), script('two', 'return 2')];
const noScript = (): Error => new Error('NOSCRIPT No matching script');

describe('a script', () => {
  let sent: string[];
  /** What is answered next; then 'ok'. */
  let answers: Error[];
  let link: { isUp: boolean; scripts: Set<string>; call(words: readonly string[]): Promise<unknown> };

  const call = async (words: readonly string[]): Promise<unknown> => {
    sent.push(words.join(' '));
    const error = answers.shift();
    if (error) throw error;
    return 'ok';
  };

  beforeEach(() => {
    [sent, answers] = [[], []];
    link = { isUp: true, scripts: new Set(), call };
  });

  it('comes with its source the first time on a connection, and then by its name', async () => {
    expect(await runOn(link, one, ['k'], ['a', 'b'])).toBe('ok');
    await runOn(link, two, [], []);
    await runOn(link, one, ['k', 'l'], ['a']);
    expect(sent).toEqual(['EVAL return 1 1 k a b', 'EVAL return 2 0', `EVALSHA ${one.sha1} 2 k l a`]);
  });

  it('comes with its source as long as there is no connection: the next one may be another server', () => {
    link.isUp = false;
    expect(scriptWords(link, one, [], [])[0]).toBe('EVAL');
    expect(scriptWords(link, one, [], [])[0]).toBe('EVAL');
    expect(link.scripts.size).toBe(0);
  });

  it('comes with its source again where it was refused: it may not have been read', async () => {
    answers = [new Error('LOADING Redis is loading the dataset in memory')];
    await expect(runOn(link, one, [], [])).rejects.toThrow('LOADING');
    await runOn(link, one, [], []);
    expect(sent).toEqual(['EVAL return 1 0', 'EVAL return 1 0']);
  });

  it('is sent again where the server has forgotten it, as it has all the others', async () => {
    await runOn(link, one, [], []);
    await runOn(link, two, [], []);
    answers = [noScript()];
    expect(await runOn(link, one, ['k'], ['a'])).toBe('ok');
    await runOn(link, two, [], []);
    expect(sent.slice(2)).toEqual([`EVALSHA ${one.sha1} 1 k a`, 'EVAL return 1 1 k a', 'EVAL return 2 0']);
  });

  it('is sent again only once', async () => {
    await runOn(link, one, [], []);
    answers = [noScript(), noScript()];
    await expect(runOn(link, one, [], [])).rejects.toThrow('NOSCRIPT');
    expect(sent).toHaveLength(3);
  });

  it('goes by its name first where the connection is not known', async () => {
    expect(await runScript(call, one, ['k'], ['a'])).toBe('ok');
    answers = [noScript()];
    expect(await runScript(call, one, ['k'], ['a'])).toBe('ok');
    answers = [new Error('OOM command not allowed')];
    await expect(runScript(call, one, [], [])).rejects.toThrow('OOM');
    const [named, whole] = [`EVALSHA ${one.sha1} 1 k a`, 'EVAL return 1 1 k a'];
    expect(sent).toEqual([named, named, whole, `EVALSHA ${one.sha1} 0`]);
  });
});
