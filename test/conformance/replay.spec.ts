import { describe, expect, it } from '@jest/globals';
import type { Duplex } from 'node:stream';
import { Wire } from '../support/wire.js';
import type { Step } from './corpus.js';
import { DisturbedError, replay } from './replay.js';
import type { Target } from './targets.js';

/** A server that does as it is told by what is sent to it: `say x`, `later x`, `close`, `cut`. */
const puppet: Target = {
  connect: async () => Wire.pair({ handle: obey }),
  signal: () => {},
  exit: async () => 0,
  refuses: async () => false,
  stop: async () => {},
};

function obey(stream: Duplex): void {
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => {
    const [order, ...words] = chunk.toString('latin1').split(' ');
    const text = `${words.join(' ')}\n`;
    if (order === 'say') stream.write(text, 'latin1');
    if (order === 'later') setTimeout(() => stream.write(text, 'latin1'), 60);
    if (order === 'close') stream.end();
    if (order === 'cut') stream.destroy();
  });
}

const a = (...steps: Step[]): Promise<void> => replay([{ open: 'a' }, ...steps], puppet);
const say = (text: string): Step => ({ send: ['a', `say ${text}`] });
const hear = (text: string): Step => ({ expect: ['a', text] });

describe('replay', () => {
  it.each<[string, Step[]]>([
    ['the text that is wanted', [say('ok'), hear('ok\n')]],
    ['several lines at once', [say('1\n2\n3'), hear('1\n2\n'), hear('3\n')]],
    ['silence', [{ silent: ['a', 20] }]],
    ['a close', [{ send: ['a', 'close'] }, { closed: ['a', 200] }]],
    ['a cut', [{ send: ['a', 'cut'] }, { closed: ['a', 200] }]],
    [
      'a close behind an answer',
      [say('bye'), { sleep: 5 }, { send: ['a', 'close'] }, hear('bye\n'), { closed: ['a', 200] }],
    ],
    [
      'an answer in time',
      [{ mark: 't' }, { send: ['a', 'later x'] }, { expect: ['a', 'x\n'], within: ['t', 50, 500] }],
    ],
    ['what a paused connection gets', [{ pause: 'a' }, say('ok'), { sleep: 10 }]],
    ['bytes of a destroyed connection', [say('ok'), { sleep: 10 }, { destroy: 'a' }]],
  ])('is content with %s', async (_, steps) => {
    await a(...steps);
  });

  it.each<[string, Step[], string]>([
    ['another text', [say('no'), hear('ok\n')], 'got something else'],
    ['too little', [say('1'), { sleep: 5 }, { send: ['a', 'close'] }, hear('1\n2\n')], 'got something else'],
    ['noise', [say('ok'), { silent: ['a', 50] }], 'not silent'],
    ['a close instead of silence', [{ send: ['a', 'close'] }, { silent: ['a', 50] }], 'not silent: closed'],
    ['no close', [{ closed: ['a', 10] }], 'not closed'],
    [
      'a last word before the close',
      [say('x'), { sleep: 5 }, { send: ['a', 'close'] }, { closed: ['a', 200] }],
      'got "x',
    ],
    [
      'an answer too early',
      [{ mark: 't' }, say('x'), { expect: ['a', 'x\n'], within: ['t', 5000, 10_000] }],
      'not within',
    ],
    [
      'an answer too late',
      [{ mark: 't' }, { send: ['a', 'later x'] }, { expect: ['a', 'x\n'], within: ['t', 0, 1] }],
      'not within 0 and 1 ms',
    ],
    ['unread bytes at the end', [say('x'), { sleep: 20 }], 'unread bytes'],
    ['an open port', [{ refused: true }], 'was accepted'],
    ['another exit code', [{ exit: 1 }], 'ended with 0, not 1'],
    ['a token nobody has seen', [{ send: ['a', '{tok:t}'] }], 'no token'],
  ])('is not content with %s', async (_, steps, message) => {
    await expect(a(...steps)).rejects.toThrow(message);
  });

  it('says so where a machine that stood still may be to blame', async () => {
    const steps: Step[] = [{ mark: 't' }, say('x'), { expect: ['a', 'x\n'], within: ['t', 5000, 10_000] }];
    const asleep: Target = {
      ...puppet,
      connect: async () => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
        return puppet.connect();
      },
    };
    await expect(replay([{ open: 'a' }, ...steps], asleep)).rejects.toBeInstanceOf(DisturbedError);
  });

  it('shows the transcript', async () => {
    await expect(a(say('no'), hear('ok\n'))).rejects.toThrow(/ms · \{"open":"a"\}[^]*ms a ← "no\\n"/);
  });
});
