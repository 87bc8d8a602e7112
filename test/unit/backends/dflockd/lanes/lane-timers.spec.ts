import { beforeEach, describe, expect, it } from '@jest/globals';
import { Exchange } from '../../../../../lib/backends/dflockd/lanes/exchange.js';
import { LaneTimers, type WatchContext, type Watched } from '../../../../../lib/backends/dflockd/lanes/lane-timers.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { FakeClock } from '../../../../support/fake-clock.js';

const READ_TIMEOUT = 9000;
const REQUEST_TIMEOUT = 1000;

let clock: FakeClock;
let alarms: Alarms;
let context: { -readonly [K in keyof WatchContext]: WatchContext[K] };
let lane: { -readonly [K in keyof Watched]: Watched[K] };
let watch: LaneTimers;
let log: string[];

const exchange = (dueAt: number, next?: Exchange): Exchange => {
  const made = new Exchange({ t: 'ping' }, undefined, 0);
  made.dueAt = dueAt;
  made.next = next;
  return made;
};

beforeEach(() => {
  clock = new FakeClock();
  alarms = new Alarms(clock);
  context = { clock, alarms, requestTimeoutMs: REQUEST_TIMEOUT, readTimeoutMs: READ_TIMEOUT };
  log = [];
  lane = {
    oldest: undefined,
    lastSend: 0,
    lastAckedSend: 0,
    stays: true,
    isSuspect: false,
    grants: 0,
    isEnded: false,
    doubt(late) {
      log.push(`${clock.now()} doubt ${late.length}`);
      lane.isSuspect = true;
    },
    giveUp() {
      log.push(`${clock.now()} giveUp`);
      lane.isEnded = true;
    },
    beat: () => log.push(`${clock.now()} beat`),
  };
  watch = new LaneTimers(lane, context);
});

describe('a watched lane', () => {
  it('speaks when a third of the read timeout has passed in silence, each time', () => {
    watch.arm();
    clock.advance(2999);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toEqual(['3000 beat']);
    clock.advance(2999);
    lane.lastSend = 5000;
    clock.advance(1);
    expect(log.length).toBe(1);
    clock.advance(2000);
    expect(log).toEqual(['3000 beat', '8000 beat']);
  });

  it('does not ask twice for one heartbeat that has not left yet', () => {
    watch.arm();
    clock.advance(3001);
    watch.arm();
    clock.advance(2998);
    expect(log).toEqual(['3000 beat']);
    clock.advance(1);
    expect(log).toEqual(['3000 beat', '6000 beat']);
  });

  it('has no alarm when it need not stay, and none for what is not sent', () => {
    lane.stays = false;
    watch.arm();
    expect(alarms.size).toBe(0);
    lane.oldest = exchange(Infinity);
    watch.arm();
    expect(alarms.size).toBe(0);
  });

  it('does not speak while an answer is outstanding', () => {
    lane.oldest = exchange(20_000);
    watch.arm();
    clock.advance(10_000);
    expect(log).toEqual([]);
    lane.oldest = undefined;
    lane.lastSend = 10_000;
    watch.arm();
    clock.advance(3000);
    expect(log).toEqual(['13000 beat']);
  });

  it('moves its alarm only to be earlier', () => {
    watch.arm();
    expect(watch.due).toBe(3000);
    lane.lastSend = 500;
    watch.arm();
    expect(watch.due).toBe(3000);
    lane.oldest = exchange(1000);
    watch.arm();
    expect(watch.due).toBe(1000);
    lane.lastSend = 900;
    lane.oldest = undefined;
    clock.advance(1000);
    expect([watch.due, log]).toEqual([3900, []]);
  });

  it('speaks earlier when it learns that the server is less patient', () => {
    watch.arm();
    context.readTimeoutMs = 3000;
    watch.arm();
    clock.advance(1000);
    expect(log).toEqual(['1000 beat']);
  });

  it('is not armed any more when it has ended, and says nothing then', () => {
    watch.arm();
    watch.stop();
    expect(alarms.size).toBe(0);
    lane.isEnded = true;
    watch.arm();
    expect(alarms.size).toBe(0);
  });
});

describe('an overdue answer', () => {
  it('is a doubt once it is due, and once only', () => {
    lane.oldest = exchange(1000, exchange(1000, exchange(1500)));
    watch.arm();
    clock.advance(999);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toEqual(['1000 doubt 2']);
    clock.advance(500);
    expect(log).toEqual(['1000 doubt 2', '1500 doubt 1']);
  });

  it('may have arrived while the process stood still: it is looked for first', () => {
    const late = exchange(1000);
    lane.oldest = late;
    watch.arm();
    clock.stall(1500);
    clock.afterPoll(() => (lane.oldest = exchange(3000)));
    clock.advance(0);
    expect([log, late.late]).toEqual([[], false]);
    expect(watch.due).toBe(3000);
  });

  it('of what became due during that look is not judged by it', () => {
    lane.oldest = exchange(1000, exchange(1001));
    watch.arm();
    clock.advance(1000);
    expect(log).toEqual(['1000 doubt 1']);
  });

  it('is not judged on a lane that has ended meanwhile', () => {
    lane.oldest = exchange(1000);
    watch.arm();
    clock.stall(1000);
    clock.afterPoll(() => (lane.isEnded = true));
    clock.advance(0);
    expect([log, alarms.size]).toEqual([[], 0]);
  });

  it('ends a lane without grants after one more request timeout', () => {
    lane.oldest = exchange(1000);
    watch.arm();
    clock.advance(1999);
    expect(log).toEqual(['1000 doubt 1']);
    clock.advance(1);
    expect(log).toEqual(['1000 doubt 1', '2000 giveUp']);
    expect(alarms.size).toBe(0);
  });

  it('counts that time from the first doubt', () => {
    lane.oldest = exchange(1000, exchange(1900));
    watch.arm();
    clock.advance(2000);
    expect(log).toEqual(['1000 doubt 1', '1900 doubt 1', '2000 giveUp']);
  });

  it('ends a lane with grants when the server must have closed it', () => {
    lane.grants = 1;
    lane.lastAckedSend = 500;
    lane.oldest = exchange(1000);
    watch.arm();
    clock.advance(9499);
    expect(log).toEqual(['1000 doubt 1']);
    clock.advance(1);
    expect(log).toEqual(['1000 doubt 1', '9500 giveUp']);
  });

  it('leaves a lane with grants one request timeout, however long nothing was answered', () => {
    lane.grants = 1;
    lane.lastAckedSend = -20_000;
    lane.oldest = exchange(1000);
    watch.arm();
    clock.advance(1999);
    expect(log).toEqual(['1000 doubt 1']);
    clock.advance(1);
    expect(log).toEqual(['1000 doubt 1', '2000 giveUp']);
  });

  it('that has come after all is forgotten', () => {
    lane.oldest = exchange(1000);
    watch.arm();
    clock.advance(1500);
    lane.oldest = undefined;
    lane.isSuspect = false;
    lane.lastSend = 1500;
    watch.trust();
    watch.arm();
    clock.advance(2999);
    expect(log).toEqual(['1000 doubt 1']);
    lane.oldest = exchange(5000);
    watch.arm();
    clock.advance(1500);
    expect(log).toEqual(['1000 doubt 1', '5000 doubt 1']);
  });

  it('that ends the lane ends its watch', () => {
    lane.doubt = () => {
      log.push('doubt');
      lane.isEnded = true;
    };
    lane.oldest = exchange(1000);
    watch.arm();
    clock.advance(60_000);
    expect([log, alarms.size]).toEqual([['doubt'], 0]);
  });
});
