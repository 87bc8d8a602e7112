import { describe, expect, it } from '@jest/globals';
import {
  draining,
  explained,
  gone,
  unauthorized,
  violation,
} from '../../../../../lib/backends/dflockd/lanes/lane-errors.js';
import * as errors from '../../../../../lib/common/errors.js';

const server = 'host:6388';

describe('what a lane tells of its end', () => {
  it('names the server and the cause', () => {
    const cause = new Error('reset');
    expect(gone(server, 'reset', cause)).toMatchObject({
      message: 'host:6388: reset',
      server,
      cause,
      code: 'UNAVAILABLE',
    });
    expect(draining(server)).toMatchObject({ server, code: 'DRAINING' });
  });

  it('quotes no token of a lock, and nothing that a terminal would obey', () => {
    const error = violation(server, `ok ${'0123456789abcdef'.repeat(2)} x\x1b[2J`);
    expect(error.message).toBe('host:6388: unexpected line "ok *** x\\x1b[2J"');
  });

  it('says of auth whether a token was given', () => {
    expect(unauthorized(server, true)).toMatchObject({
      code: 'AUTH',
      server,
      message: 'authentication failed: host:6388 refuses the token (option remote.auth)',
    });
    expect(unauthorized(server, false).message).toBe(
      'authentication failed: host:6388 requires a token (option remote.auth)',
    );
  });

  it('quotes what the server must not say, and no more than 80 characters of it', () => {
    const error = violation(server, `"${'x'.repeat(200)}`);
    expect(error).toMatchObject({ server, code: 'PROTOCOL' });
    expect(error.message).toBe(`host:6388: unexpected line "\\"${'x'.repeat(79)}"`);
  });
});

describe('the trouble of a key queue', () => {
  it('is told as it is, but for a bare error, which explains nothing', () => {
    const bare = new errors.ProtocolError('error');
    expect(explained(bare, server)).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'host:6388: the server answers `error` to acquire requests',
      cause: bare,
    });
    const full = new errors.MaxLocksError();
    expect(explained(full, server)).toBe(full);
  });
});
