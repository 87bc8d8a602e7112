import { describe, expect, it } from '@jest/globals';
import { Bindings, written } from './template.js';

const T1 = 'c962a49166f35fd7a235a283339a7d01';
const T2 = '15a24a1a6d88a8a5239506b345fdeed7';

describe('placeholders', () => {
  it('write repetitions out', () => {
    expect(written('a{rep:3:xy\n}b{rep:0:z}')).toBe('axy\nxy\nxy\nb');
  });

  it('note a token and want the same one later', () => {
    const bindings = new Bindings();
    expect(bindings.mismatch('ok {tok:a} 33\n', `ok ${T1} 33\n`)).toBeUndefined();
    expect(bindings.mismatch('ok {tok:a} 33\n', `ok ${T1} 33\n`)).toBeUndefined();
    expect(bindings.mismatch('ok {tok:a} 33\n', `ok ${T2} 33\n`)).toContain('another text');
    expect(bindings.fill('n\nk\n{tok:a} {up:a}\n')).toBe(`n\nk\n${T1} ${T1.toUpperCase()}\n`);
  });

  it('want two names to be two tokens', () => {
    const bindings = new Bindings();
    expect(bindings.mismatch('{tok:a}\n{tok:b}\n', `${T1}\n${T1}\n`)).toContain('same token');
  });

  it('want tokens of 32 lowercase hex digits', () => {
    for (const token of [T1.toUpperCase(), T1.slice(1), `${T1}0`, 'x'.repeat(32)]) {
      expect(new Bindings().mismatch('{tok:a}\n', `${token}\n`)).toBeDefined();
    }
  });

  it('want the same integer within a line and later', () => {
    const bindings = new Bindings();
    expect(bindings.mismatch('{int:a} {int:a} {int:b}\n', '17 17 4\n')).toBeUndefined();
    expect(bindings.mismatch('{int:a}\n', '18\n')).toBeDefined();
    expect(new Bindings().mismatch('{int:a} {int:a}\n', '17 18\n')).toBeDefined();
  });

  it('want numbers within their bounds', () => {
    const of = (text: string): string | undefined => new Bindings().mismatch('{"s":{num:1:2.5},"t":{num}}\n', text);
    expect(of('{"s":1,"t":-3}\n')).toBeUndefined();
    expect(of('{"s":2.5,"t":1e-7}\n')).toBeUndefined();
    expect(of('{"s":2.51,"t":0}\n')).toContain('not within');
    expect(of('{"s":x,"t":0}\n')).toBeDefined();
  });

  it('take everything else literally', () => {
    expect(new Bindings().mismatch('a.*\\u003c{"key":"x"}$\n', 'a.*\\u003c{"key":"x"}$\n')).toBeUndefined();
    expect(new Bindings().mismatch('a.c\n', 'abc\n')).toBeDefined();
  });

  it('tell of too few and too many lines', () => {
    expect(new Bindings().mismatch('ok\nok\n', 'ok\n')).toBeDefined();
    expect(new Bindings().mismatch('ok\n', 'ok')).toBeDefined();
    expect(new Bindings().mismatch('ok\n', 'ok\nok\n')).toBeDefined();
  });

  it('cannot send what has not been seen', () => {
    expect(() => new Bindings().fill('{tok:a}')).toThrow('no token a');
  });
});
