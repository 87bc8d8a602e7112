import { beforeEach, describe, expect, it } from '@jest/globals';
import { Place, type PlaceHost } from '../../../../../lib/backends/dflockd/queues/place.js';
import type { Taken, WhyWait } from '../../../../../lib/backends/dflockd/lanes/wait-lanes.js';
import { LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { FakeLane } from '../support/fake-lane.js';

const resource = { kind: 'sem', key: 'k', limit: 3 } as const;
const TAKE = { t: 'acquire', ...resource, waitMs: 5000, leaseMs: 7000 };

let log: unknown[];
let lane: FakeLane;
let taken: Taken;
let hasLane: boolean;
let autoRelease: boolean;
let place: Place;

beforeEach(() => {
  log = [];
  lane = new FakeLane();
  [hasLane, autoRelease] = [true, true];
  const host: PlaceHost = {
    resource,
    nextRequest: () => ({ leaseMs: 7000, waitMs: 5000 }),
    asked: (of) => log.push(`asked ${of.state}`),
    granted: (of, grant, askedMs) => log.push(['granted', of.state, grant, askedMs]),
    timedOut: (of) => log.push(`timed out ${of.state}`),
    expired: (of, askedAt) => log.push(`expired ${of.state} since ${askedAt}`),
    failed: (of, why) => log.push(['failed', of.state, why instanceof LockError ? why.code : why.s]),
  };
  const config = {
    get autoRelease() {
      return autoRelease;
    },
  };
  const wait = (why: WhyWait, callback: Taken) => {
    log.push(`wait ${why}`);
    taken = callback;
    return hasLane ? () => log.push('cancelled') : undefined;
  };
  place = new Place(host, { config, wait });
});

const ask = (): void => {
  place.open('head');
  taken(lane.lane);
  log = [];
};

describe('a place', () => {
  it('asks as soon as it has a lane', () => {
    expect(place.open('extra')).toBe(true);
    expect([place.state, log]).toEqual(['fetching', ['wait extra']]);
    taken(lane.lane);
    expect([place.state, log]).toEqual(['asking', ['wait extra', 'asked asking']]);
    expect(lane.requests).toEqual([TAKE]);
  });

  it('says when there is no lane', () => {
    hasLane = false;
    expect(place.open('head')).toBe(false);
  });

  it('is over when its lane cannot be had', () => {
    place.open('head');
    taken(new LockUnavailableError('gone'));
    expect(log).toEqual(['wait head', ['failed', 'over', 'UNAVAILABLE']]);
  });

  it('is in the queue since its request was sent', () => {
    place.open('head');
    expect(place.askedAt).toBe(Infinity);
    taken(lane.lane);
    expect(place.askedAt).toBe(Infinity);
    lane.sent[0]!.sentAt = 42;
    expect(place.askedAt).toBe(42);
    lane.answer({ s: 'timeout' }, 42);
    expect(place.askedAt).toBe(Infinity);
  });

  it('brings a grant, from the moment in which it was asked for', () => {
    ask();
    lane.answer({ s: 'granted', token: 'x', leaseMs: 6000 }, 9);
    expect(log).toEqual([['granted', 'over', { lane, token: 'x', leaseMs: 6000, validFrom: 9 }, 7000]]);
    expect(lane.isEnded).toBe(false);
  });

  it('may ask again after its time, on the same lane', () => {
    ask();
    lane.answer({ s: 'timeout' });
    expect([log, place.state]).toEqual([['timed out answered'], 'answered']);
    place.ask();
    expect(lane.requests).toEqual([TAKE, TAKE]);
    expect(place.state).toBe('asking');
  });

  it('may ask again when its grant ran out, on the same lane', () => {
    ask();
    lane.answer({ s: 'lease_expired' }, 42);
    expect([log, place.state, lane.isEnded]).toEqual([['expired answered since 42'], 'answered', false]);
    place.ask();
    expect(lane.requests).toEqual([TAKE, TAKE]);
  });

  it.each<[string, Parameters<FakeLane['answer']>[0], string]>([
    ['no answer', new LockUnavailableError('late'), 'UNAVAILABLE'],
    ['a bare error, which may announce the end', { s: 'error' }, 'error'],
  ])('and its lane end after %s', (_, answer, why) => {
    ask();
    lane.answer(answer);
    expect(log).toEqual([['failed', 'over', why]]);
    expect(lane.ending).toMatchObject({ message: 'host:6388: given up' });
  });

  it('ends without its lane when it is refused', () => {
    ask();
    lane.answer({ s: 'max_waiters' });
    expect([log, lane.isEnded]).toEqual([[['failed', 'over', 'max_waiters']], false]);
  });
});

describe('a place that nobody wants any more', () => {
  it('takes no lane', () => {
    place.open('head');
    place.cancel();
    expect([place.state, log]).toEqual(['over', ['wait head', 'cancelled']]);
  });

  it('leaves the queue by the end of its lane, and hears no answer', () => {
    ask();
    place.cancel();
    expect([place.state, lane.ending?.message]).toEqual(['over', 'host:6388: given up']);
    lane.answer({ s: 'granted', token: 'x', leaseMs: 6000 });
    expect(log).toEqual([]);
  });

  it('leaves a grant that may come to its lane, where the end of a lane frees nothing', () => {
    autoRelease = false;
    ask();
    place.cancel();
    expect([lane.isEnded, lane.sent[0]!.done]).toEqual([false, undefined]);
  });

  it('leaves alone a lane that has answered', () => {
    ask();
    lane.answer({ s: 'timeout' });
    place.cancel();
    place.cancel();
    expect([place.state, lane.isEnded, log]).toEqual(['over', false, ['timed out answered']]);
  });
});
