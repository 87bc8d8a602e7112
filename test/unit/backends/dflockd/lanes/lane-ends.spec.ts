import { describe, expect, it } from '@jest/globals';
import type { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import { LockError } from '../../../../../lib/common/errors.js';
import type { Request } from '../../../../../lib/protocol/messages.js';
import { until } from '../../../../support/until.js';
import type { FakeContext } from '../support/fake-context.js';
import type { FakeServer } from '../support/fake-server.js';
import { type OpenLane, useLane } from '../support/open-lane.js';

const PING: Request = { t: 'ping' };
const nothing = (): void => undefined;

let opened: OpenLane;
let server: FakeServer;
let context: FakeContext;
let lane: Lane;

const { open, dial } = useLane((one) => {
  opened = one;
  ({ server, context, lane } = opened);
});

const heard = (count: number): Promise<unknown> => opened.heard(count);
const ask = (request: Request): Promise<unknown> => opened.ask(request);

describe('a lane', () => {
  it('has a name of its own, for people', async () => {
    await open();
    expect(lane.id).toMatch(/^command#\d+@127\.0\.0\.1:\d+$/);
  });

  it('but the control lane takes no answer of more than 64 KiB', async () => {
    await open('command', () => `ok ${'x'.repeat(66_000)}\n`);
    expect(await ask({ t: 'stats' })).toMatchObject({ code: 'PROTOCOL' });
    expect(context.log[0]).toMatch(/: a reply exceeds the line limit$/);
  });

  it('is proven to live for a read timeout after the newest request that was answered, less a guard', async () => {
    await open();
    expect(lane.provenUntil()).toBe(-Infinity);
    await ask(PING);
    const proven = lane.provenUntil() - 1000;
    expect(proven).toBeLessThan(24_000);
    expect(proven).toBeGreaterThan(20_000);
  });

  it('that connects does not know that its server shuts down, nor does one that has ended', async () => {
    await dial();
    lane.drain();
    await until(() => lane.state !== 'connecting');
    expect([lane.state, context.log]).toEqual(['free', []]);
    lane.end(new LockError('over'));
    lane.drain();
    expect(context.log).toEqual(['ended over', 'laneEnded']);
  });

  it('says how it was lost: by a FIN', async () => {
    await open();
    server.peers[0]!.socket.end();
    await until(() => lane.isEnded);
    expect(context.log[0]).toBe(`ended ${lane.server}: the server closed the connection`);
  });

  it('says how it was lost: by a reset, with the cause', async () => {
    await open();
    let why: Error | undefined;
    lane.onLost((_, error) => (why = error));
    server.peers[0]!.reset();
    await until(() => lane.isEnded);
    expect(why).toMatchObject({ message: expect.stringContaining('ECONNRESET'), cause: { code: 'ECONNRESET' } });
  });

  it('that is idle is told so by the server, and tells how long the silence was', async () => {
    await open();
    context.clock.advance(3000);
    server.peers[0]!.say('error\n');
    await until(() => lane.isEnded);
    expect(context.log[0]).toBe('silenced 3000');
    expect(context.log[1]).toBe(`ended ${lane.server}: the server closed the idle connection`);
  });

  it('ends with a line that nobody asked for', async () => {
    await open();
    server.peers[0]!.say('ok\n');
    await until(() => lane.isEnded);
    expect(context.log[0]).toBe(`ended ${lane.server}: unexpected line "ok"`);
  });

  it('ends with a signal, if it is not there to listen', async () => {
    await open();
    server.peers[0]!.say('sig a b\n');
    await until(() => lane.isEnded);
  });

  it('reads nothing more after its end', async () => {
    await open();
    const outcomes: unknown[] = [];
    lane.send(PING, () => {
      outcomes.push('first');
      lane.end(new LockError('over'));
    });
    lane.send(PING, (outcome) => outcomes.push(outcome instanceof LockError && outcome.message));
    server.script = () => undefined;
    await heard(2);
    server.peers[0]!.say('ok\nok\nnonsense\n');
    await until(() => outcomes.length > 1);
    expect(outcomes).toEqual(['first', 'over']);
    expect(context.log).toEqual(['ended over', 'laneEnded']);
  });

  it('that closes ends with its last answer', async () => {
    await open('command', () => undefined);
    lane.send(PING, nothing);
    await heard(1);
    lane.retire(new LockError('unused'));
    expect(lane.state).toBe('closing');
    server.peers[0]!.say('ok\n');
    await until(() => lane.isEnded);
    expect(context.log[0]).toBe(`ended ${lane.server}: closed`);
  });

  it('that retires while it connects ends at once', async () => {
    await dial();
    lane.retire(new LockError('unused'));
    expect(context.log).toEqual(['ended unused', 'laneEnded']);
  });

  it.each(['draining', 'disconnected'])('tells its owners why it ended: %s', async (reason) => {
    await open();
    lane.adopt();
    let told: unknown;
    lane.onLost((why) => (told = why));
    if (reason === 'draining') lane.drain();
    lane.end(new LockError('over'));
    expect(told).toBe(reason);
  });

  it('that drains ends with its last grant', async () => {
    await open();
    lane.adopt();
    lane.drain();
    expect([lane.state, context.log]).toEqual(['draining', ['doubted']]);
    lane.disown();
    expect(context.log[1]).toBe('ended the server is shutting down');
  });
});
