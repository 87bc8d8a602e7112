import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../support/fake-clock.js';
import { GRANT, PING, acquire, turns, useDaemons } from './harness.js';

const auth = (token: string): string => `auth\n_\n${token}\n`;

describe('authentication (spec 2)', () => {
  const start = useDaemons();

  it('says error_auth at once and closes 100 ms later', async () => {
    const clock = new FakeClock();
    const daemon = await start({ authToken: 's3cret' }, { clock });
    const wire = daemon.pair();
    expect(await wire.ask(auth('wrong'))).toBe('error_auth');
    clock.advance(99);
    await turns();
    expect(wire.closed).toBe(false);
    clock.advance(2);
    await wire.whenClosed();
    expect(wire.unread).toBe('');
  });

  it('keeps to it on the clock of the wall', async () => {
    const daemon = await start({ authToken: 's3cret' });
    const wire = await daemon.open();
    const asked = performance.now();
    expect(await wire.ask(auth('wrong'))).toBe('error_auth');
    const took = (await wire.whenClosed()) - asked;
    expect(took).toBeGreaterThan(95);
    expect(took).toBeLessThan(1000);
  });

  it('executes nothing behind a failure, whatever comes', async () => {
    const daemon = await start({ authToken: 's3cret' });
    const [bad, good] = [await daemon.open(), await daemon.open()];
    bad.send(`${PING}${auth('s3cret')}${acquire('k')}`);
    expect(await bad.read()).toBe('error_auth\n');
    bad.send(`${auth('s3cret')}${acquire('k')}`);
    await bad.whenClosed();
    expect(bad.unread).toBe('');
    good.send(`${auth(' s3cret\t')}${acquire('k')}`);
    expect((await good.read(2)).split('\n')).toEqual(['ok', expect.stringMatching(GRANT), '']);
  });

  it.each([
    ['a token of the same length', auth('s3creT')],
    ['no token', auth('')],
    ['a longer token', auth('s3cret1')],
    ['another command', PING],
    ['nonsense', '\n\n\n'],
    ['an over-long line', `auth\n${'x'.repeat(300)}\n`],
    ['an over-long token', `auth\n_\n${'x'.repeat(65_537)}\n`],
  ])('refuses %s', async (_, request) => {
    const clock = new FakeClock();
    const daemon = await start({ authToken: 's3cret' }, { clock });
    const wire = daemon.pair();
    expect(await wire.ask(request)).toBe('error_auth');
    clock.advance(101);
    await wire.whenClosed();
  });

  it('takes a token of 64 KiB', async () => {
    const token = 'é'.repeat(32_768);
    const daemon = await start({ authToken: token });
    const wire = await daemon.open();
    expect(await wire.ask(auth(Buffer.from(token).toString('latin1')))).toBe('ok');
    expect(await wire.ask(auth('again'))).toBe('error');
    expect(await wire.ask(PING)).toBe('ok');
  });

  it('does not wait for a silent peer longer than the read timeout', async () => {
    const clock = new FakeClock();
    const daemon = await start({ authToken: 's3cret', readTimeout: 2 }, { clock });
    const wire = daemon.pair();
    await turns();
    clock.advance(1999);
    await turns();
    expect([wire.received, wire.closed]).toEqual(['', false]);
    clock.advance(2);
    expect(await wire.read()).toBe('error_auth\n');
    clock.advance(101);
    await wire.whenClosed();
  });

  it('answers error where no token is wanted', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    expect([await wire.ask(auth('x')), await wire.ask(PING)]).toEqual(['error', 'ok']);
  });
});
