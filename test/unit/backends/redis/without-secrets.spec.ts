import { describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import { withoutSecrets } from '../../../../lib/backends/redis/drivers/without-secrets.js';

class ReplyError extends Error {
  override name = 'ReplyError';
}

const SECRET = 'hunter2';
const shown = (error: unknown): string => inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error);
const refused = (): Error =>
  Object.assign(new ReplyError('WRONGPASS no'), {
    code: 'WRONGPASS',
    command: { name: 'auth', args: ['app', SECRET] },
  });

describe('an error of a client library', () => {
  it.each([
    ['a plain one', new Error('Connection is closed.')],
    ['one of a system call', Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', errno: -111 })],
    ['one of several', new AggregateError([new Error('a'), new Error('b')], 'all failed')],
    ['one with a cause', new Error('it failed', { cause: new Error('why') })],
  ])('stays the same: %s', (_name, error) => {
    expect(withoutSecrets(error)).toBe(error);
  });

  it('stays the same where it is none', () => {
    for (const thrown of ['text', undefined, null, 7]) expect(withoutSecrets(thrown)).toBe(thrown);
  });

  it('keeps class, message, code and place, and loses the command', () => {
    const error = refused();
    const copy = withoutSecrets(error) as ReplyError;
    expect(copy).toBeInstanceOf(ReplyError);
    expect(copy).toMatchObject({ name: 'ReplyError', message: 'WRONGPASS no', code: 'WRONGPASS' });
    expect(copy.stack).toBe(error.stack!.replace(/^Error/, 'ReplyError'));
    expect(copy).not.toHaveProperty('command');
    expect(shown(copy)).not.toContain(SECRET);
    // The client may hand it to others.
    expect(error).toHaveProperty('command');
  });

  it('has no stack where it had none', () => {
    const error = refused();
    delete error.stack;
    expect((withoutSecrets(error) as Error).stack).not.toContain(SECRET);
  });

  it.each([
    ['a cause', () => new Error('failed', { cause: refused() })],
    ['one of several', () => new AggregateError([new Error('x'), refused()], 'failed')],
    ['an error of a node', () => Object.assign(new Error('failed'), { lastNodeError: refused() })],
    ['a list of commands', () => Object.assign(new Error('failed'), { commands: [['auth', SECRET]] })],
    ['a method', () => Object.assign(new Error('failed'), { toJSON: () => SECRET })],
    ['a text', () => Object.assign(new Error('failed'), { url: `redis://app:${SECRET}@db:6379` })],
    ['its message', () => new Error(`cannot parse redis://app:${SECRET}@db:6379`)],
    [
      'the arguments of an unknown command',
      () => new Error(`ERR unknown command 'x', with args beginning with: '${SECRET}'`),
    ],
  ])('loses what is secret in %s', (_name, make) => {
    const error = make();
    expect(shown(error)).toContain(SECRET);
    const copy = withoutSecrets(error) as Error;
    expect(copy).not.toBe(error);
    expect(shown(copy)).not.toContain(SECRET);
    expect(copy.name).toBe(error.name);
  });

  it('of errors within errors without end does not end in a loop', () => {
    const error: Error & { cause?: unknown } = new Error('failed');
    error.cause = error;
    expect((withoutSecrets(error) as Error).message).toBe('failed');
  });
});
