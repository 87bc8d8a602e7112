import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Released } from '../../../../../lib/backends/backend.js';
import type {
  WaitSession,
  WaitSessions,
  WaitUser,
} from '../../../../../lib/backends/postgres/commands/wait-sessions.js';
import type { KeptHolds } from '../../../../../lib/backends/postgres/keep/kept-holds.js';
import { Place, type PlaceHost } from '../../../../../lib/backends/postgres/queues/place.js';
import { type LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';

/** A session to wait on. The test answers what is asked of it. */
class FakeWait {
  readonly asked: string[] = [];
  user: WaitUser | undefined;
  cancelled: (() => void) | undefined;
  unlocked: ((outcome: Released) => void) | undefined;
  confirmed: ((error?: LockError) => void) | undefined;
  private readonly endings = new Set<(error: LockError) => void>();
  readonly session = {
    isEnded: false,
    onEnd: (callback: (error: LockError) => void) => {
      this.endings.add(callback);
      return () => void this.endings.delete(callback);
    },
  };

  lock(id: bigint, user: WaitUser): void {
    this.asked.push(`lock ${id}`);
    this.user = user;
  }

  unlockAndLock(id: bigint, user: WaitUser): void {
    this.asked.push(`unlock and lock ${id}`);
    this.user = user;
  }

  unlock(id: bigint, done: (outcome: Released) => void): void {
    this.asked.push(`unlock ${id}`);
    this.unlocked = done;
  }

  cancel(done: () => void): void {
    this.asked.push('cancel');
    this.cancelled = done;
  }

  confirm(done: (error?: LockError) => void): void {
    this.asked.push('confirm');
    this.confirmed = done;
  }

  release(): void {
    this.asked.push('release');
  }

  end(error: LockError): void {
    this.session.isEnded = true;
    for (const ending of [...this.endings]) ending(error);
  }

  get listeners(): number {
    return this.endings.size;
  }
}

const CUT = new LockUnavailableError('cut');

describe('a place and its session', () => {
  let wait: FakeWait;
  let told: string[];
  let place: Place;
  let host: PlaceHost & { kept: KeptHolds | undefined };
  let taken: ((wait: WaitSession | undefined, error?: LockError) => void) | undefined;
  let stopped: number;
  /** Of what is kept. */
  let waitedOut: ((error?: LockError) => void) | undefined;
  let keptStops: number;
  const sessions = {
    take: (done: typeof taken) => {
      taken = done;
      return () => void stopped++;
    },
  } as unknown as WaitSessions;
  const give = (): void => taken!(wait as unknown as WaitSession);

  beforeEach(() => {
    wait = new FakeWait();
    told = [];
    [stopped, keptStops] = [0, 0];
    [taken, waitedOut] = [undefined, undefined];
    host = {
      placeId: 7n,
      kept: undefined,
      asked: () => told.push('asked'),
      freed: () => told.push('freed'),
      owned: (_, fence) => told.push(`owned ${fence}`),
      denied: () => told.push('denied'),
      failed: (_, error) => told.push(`failed: ${error.message}`),
      lost: (_, error) => told.push(`lost: ${error.message}`),
    };
    place = new Place(host);
    place.open(sessions);
  });

  /** It is in the server's queue. */
  const waiting = (): void => {
    give();
    told.length = 0;
  };
  /** Its session has the lock. */
  const owning = (): void => {
    waiting();
    wait.user!.granted(5n, 0);
    wait.confirmed!();
    expect([told, place.state]).toEqual([['owned 5'], 'owning']);
    told.length = 0;
    wait.asked.length = 0;
  };
  const kept = (): void => {
    host.kept = {
      waitOut: (id: bigint, done: typeof waitedOut) => {
        expect(id).toBe(7n);
        waitedOut = done;
        return () => void keptStops++;
      },
    } as unknown as KeptHolds;
  };

  it('waits as soon as there is a session', () => {
    expect([told, place.state]).toEqual([[], 'fetching']);
    give();
    expect([wait.asked, told, place.state]).toEqual([['lock 7'], ['asked'], 'waiting']);
    expect(place.session).toBe(wait.session);
    expect(place.waitSession).toBe(wait);
  });

  it('does not wait if the session ends when it is asked', () => {
    wait.lock = (_, user) => {
      wait.session.isEnded = true;
      user.failed(CUT);
    };
    give();
    expect([told, wait.asked, place.isOver]).toEqual([['freed', 'failed: cut'], [], true]);
  });

  it('is over without a session', () => {
    taken!(undefined);
    expect([told, place.isOver]).toEqual([['freed', 'denied'], true]);
  });

  it('is over if its session could not be connected', () => {
    taken!(undefined, CUT);
    expect([told, place.isOver]).toEqual([['freed', 'failed: cut'], true]);
  });

  it('cancelled before it has a session, gives back one that comes nevertheless', () => {
    place.cancel();
    expect([stopped, place.isOver]).toEqual([1, true]);
    give();
    expect([wait.asked, told]).toEqual([['release'], ['freed']]);
  });

  it('cancelled before it has a session, tells nobody that there is none', () => {
    place.cancel();
    taken!(undefined, CUT);
    expect(told).toEqual(['freed']);
  });

  it('tells nobody that it has the lock before its session is proven', () => {
    waiting();
    wait.user!.granted(5n, 0);
    expect([wait.asked, told, place.state]).toEqual([['lock 7', 'confirm'], [], 'confirming']);
    wait.confirmed!();
    expect([told, place.state]).toEqual([['owned 5'], 'owning']);
  });

  it('is over if its session is not proven', () => {
    waiting();
    wait.user!.granted(5n, 0);
    wait.confirmed!(CUT);
    expect([told, place.isOver]).toEqual([['freed', 'failed: cut'], true]);
  });

  it('cancelled while it waits, gives its session back once nothing is held', () => {
    waiting();
    place.cancel();
    expect(wait.asked).toEqual(['lock 7', 'cancel']);
    wait.user!.granted(5n, 0);
    expect([wait.asked, told]).toEqual([['lock 7', 'cancel'], []]);
    wait.cancelled!();
    expect([wait.asked, told]).toEqual([['lock 7', 'cancel', 'release'], ['freed']]);
  });

  it('cancelled while it waits, does not give back a session that ends', () => {
    waiting();
    place.cancel();
    wait.end(CUT);
    wait.cancelled!();
    expect([wait.asked, told]).toEqual([['lock 7', 'cancel'], ['freed']]);
  });

  it('cancelled while its session is proven, releases the lock', () => {
    waiting();
    wait.user!.granted(5n, 0);
    place.cancel();
    wait.confirmed!();
    expect([wait.asked, told]).toEqual([['lock 7', 'confirm', 'unlock 7'], []]);
    wait.unlocked!('released');
    expect([wait.asked.at(-1), told]).toEqual(['release', ['freed']]);
  });

  it('cancelled while it owns, releases the lock and tells nobody of the end of its session', () => {
    owning();
    place.cancel();
    expect([wait.asked, wait.listeners]).toEqual([['unlock 7'], 0]);
    wait.end(CUT);
    expect(told).toEqual([]);
    wait.unlocked!('gone');
    expect([wait.asked, told]).toEqual([['unlock 7'], ['freed']]);
  });

  it('is lost with its session, once', () => {
    owning();
    wait.end(CUT);
    expect([told, place.isOver]).toEqual([['freed', 'lost: cut'], true]);
  });

  it('leaves: says what came of the release, and gives its session back', () => {
    owning();
    let outcome: Released | undefined;
    place.leave((is) => (outcome = is));
    expect([wait.asked, outcome, place.isOver, wait.listeners]).toEqual([['unlock 7'], undefined, true, 0]);
    expect(told).toEqual([]);
    wait.unlocked!('released');
    expect([wait.asked, outcome, told]).toEqual([['unlock 7', 'release'], 'released', ['freed']]);
  });

  it('leaves on a session that ends meanwhile', () => {
    owning();
    let outcome: Released | undefined;
    place.leave((is) => (outcome = is));
    wait.end(CUT);
    wait.unlocked!('gone');
    expect([wait.asked, outcome, told]).toEqual([['unlock 7'], 'gone', ['freed']]);
  });

  it('waits again: from then on it does not own any more', () => {
    owning();
    place.again();
    expect([wait.asked, told, place.state, wait.listeners]).toEqual([['unlock and lock 7'], ['asked'], 'waiting', 0]);
    wait.end(CUT);
    expect(told).toEqual(['asked']);
    wait.user!.failed(CUT);
    expect([told, place.isOver]).toEqual([['asked', 'freed', 'failed: cut'], true]);
    expect(wait.asked).toEqual(['unlock and lock 7']);
  });

  it('whose wait fails gives its session back, and is over once', () => {
    waiting();
    wait.user!.failed(CUT);
    wait.user!.failed(CUT);
    expect([wait.asked, told, place.isOver]).toEqual([['lock 7', 'release'], ['freed', 'failed: cut'], true]);
  });

  describe('that may be kept', () => {
    beforeEach(() => {
      kept();
      waiting();
      wait.user!.granted(5n, 0);
    });

    it('proves its session when nothing is kept any more', () => {
      expect([wait.asked, told]).toEqual([['lock 7'], []]);
      waitedOut!();
      expect([wait.asked, wait.listeners]).toEqual([['lock 7', 'confirm'], 0]);
      wait.confirmed!();
      expect([told, keptStops]).toEqual([['owned 5'], 0]);
    });

    it('releases the lock if nobody knows whether it is kept', () => {
      waitedOut!(CUT);
      expect([wait.asked, told, place.isOver, wait.listeners]).toEqual([
        ['lock 7', 'unlock 7'],
        ['failed: cut'],
        true,
        0,
      ]);
      wait.unlocked!('released');
      expect([wait.asked.at(-1), told]).toEqual(['release', ['failed: cut', 'freed']]);
    });

    it('is over with its session', () => {
      wait.end(CUT);
      expect([told, keptStops, place.isOver]).toEqual([['freed', 'failed: cut'], 1, true]);
    });

    it('cancelled meanwhile, releases the lock and looks no more', () => {
      place.cancel();
      expect([wait.asked, keptStops, wait.listeners]).toEqual([['lock 7', 'unlock 7'], 1, 0]);
      wait.end(CUT);
      expect(told).toEqual([]);
      wait.unlocked!('gone');
      expect([wait.asked, told]).toEqual([['lock 7', 'unlock 7'], ['freed']]);
    });
  });
});
