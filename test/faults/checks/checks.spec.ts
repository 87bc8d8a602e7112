import { describe, expect, it } from '@jest/globals';
import type { Call, DaemonLife, Evidence, Grant, Hold, QueueEvent } from '../log/evidence.js';
import { readDaemonLog } from '../log/read-daemon.js';
import { readWorkerLog } from '../log/read-worker.js';
import { judge } from './index.js';

const ms = (n: number): number => n * 1e6;

const hold = (more: Partial<Hold> = {}): Hold => ({
  ...{ key: 'k', limit: 1, fence: '01', worker: 'w', client: 0, invokedAt: ms(99), grantedAt: ms(100) },
  ...{ end: 'released', believedUntil: ms(200), lostAt: undefined, line: '' },
  ...more,
});

const grant = (more: Partial<Grant> = {}): Grant => ({
  ...{ key: 'k', limit: 1, fence: '01', session: 1, place: 0, grantedAt: ms(99), leaseNs: ms(1000) },
  ...{ freedAt: ms(210), cause: 'released' },
  ...more,
});

const life = (more: Partial<DaemonLife> = {}): DaemonLife => ({
  ...{ grants: [], queue: [], killedAt: undefined, drainedAt: undefined, completeUntil: ms(10_000), stalls: [] },
  ...{ sweepNs: ms(1000) },
  ...more,
});

const evidence = (more: Partial<Evidence> = {}): Evidence => ({
  ...{ holds: [], calls: [], lives: [], stalls: new Map(), proxyStalls: [], cuts: [], complaints: [] },
  ...more,
});

const found = (of: Partial<Evidence>): string[] => judge(evidence(of)).violations.map(({ check }) => check);

describe('exclusion', () => {
  const second = hold({ fence: '02', worker: 'v', grantedAt: ms(150), believedUntil: ms(300) });

  it('finds two holders at once, and none where one follows the other', () => {
    expect(found({ holds: [hold(), second] })).toContain('exclusion');
    expect(found({ holds: [hold({ believedUntil: ms(150) }), second] })).toEqual([]);
    expect(found({ holds: [hold(), { ...second, key: 'other' }] })).toEqual([]);
  });

  it('counts up to the limit of a semaphore', () => {
    const three = ['01', '02', '03'].map((fence, i) => hold({ fence, limit: 2, grantedAt: ms(100 + i) }));
    expect(found({ holds: three.slice(0, 2) })).toEqual([]);
    expect(found({ holds: three })).toEqual(['exclusion']);
  });

  it('finds a long hold behind short ones', () => {
    const short = hold({ fence: '011', grantedAt: ms(110), believedUntil: ms(111) });
    expect(found({ holds: [hold(), short, second] })).toEqual(['exclusion', 'exclusion']);
  });

  it('lets a hold whose connection was cut end where the daemon freed it', () => {
    const cut = hold({ end: 'lost', lostAt: ms(155), believedUntil: ms(155) });
    const freed = grant({ freedAt: ms(140), cause: 'closed' });
    const logs = { holds: [cut, second], lives: [life({ grants: [freed, grant({ fence: '02', freedAt: ms(301) })] })] };
    expect(found(logs)).toContain('exclusion');
    expect(found({ ...logs, cuts: [{ at: ms(139), client: 0 }] })).toEqual([]);
    expect(found({ ...logs, cuts: [{ at: ms(139), client: 1 }] })).toContain('exclusion');
    expect(found({ ...logs, cuts: [{ at: ms(141), client: 0 }] })).toContain('exclusion');
  });
});

describe('exclusion on a server that is not ours and has no log', () => {
  const lost = (at: number, more: Partial<Hold> = {}): Hold =>
    hold({ end: 'lost', lostAt: ms(at), believedUntil: ms(at), ...more });
  const second = hold({ fence: '02', worker: 'v', grantedAt: ms(150), believedUntil: ms(300) });
  const cuts = [{ at: ms(149), client: 0 }];

  it('lets a hold end with the cut of which its holder was told within 50 ms', () => {
    expect(found({ holds: [lost(199), second], cuts })).toEqual([]);
    expect(found({ holds: [lost(200), second], cuts })).toEqual(['exclusion']);
    expect(found({ holds: [lost(199), second], cuts: [{ at: ms(149), client: undefined }] })).toEqual([]);
  });

  it('excuses nobody for the cut of somebody else, one before the hold, or none', () => {
    expect(found({ holds: [lost(151), second] })).toEqual(['exclusion']);
    expect(found({ holds: [lost(151), second], cuts: [{ at: ms(149), client: 1 }] })).toEqual(['exclusion']);
    expect(found({ holds: [lost(151), second], cuts: [{ at: ms(99), client: 0 }] })).toEqual(['exclusion']);
  });

  it('takes no account of a grant that was read when its connection had been cut', () => {
    const released = hold({ grantedAt: ms(140), believedUntil: ms(145) });
    expect(found({ holds: [released, hold({ fence: '02', worker: 'v', grantedAt: ms(141) })] })).toEqual(['exclusion']);
    const overtaken = [{ at: ms(138), client: 0 }];
    expect(found({ holds: [released, hold({ fence: '02', worker: 'v', client: 1, grantedAt: ms(141) })], cuts: overtaken }))
      .toEqual([]); // prettier-ignore
  });

  it('does not count the time in which the holder or the proxies did not run', () => {
    const stall = { from: ms(150), to: ms(250) };
    expect(found({ holds: [lost(290), second], cuts, proxyStalls: [stall] })).toEqual([]);
    expect(found({ holds: [lost(290), second], cuts, stalls: new Map([['w', [stall]]]) })).toEqual([]);
    expect(found({ holds: [lost(290), second], cuts, stalls: new Map([['v', [stall]]]) })).toEqual(['exclusion']);
  });
});

describe('idleness', () => {
  const call = (from: number, to: number | undefined, more: Partial<Call> = {}): Call => ({
    ...{ worker: 'w', client: 0, key: 'k', invokedAt: ms(from), deadlineAt: ms(60_000), outcome: 'timeout' },
    ...{ answeredAt: to === undefined ? undefined : ms(to), excused: to === undefined, ...more },
  });
  const idle = (
    calls: Call[],
    holds: Hold[] = [],
    more: Partial<Evidence> = {},
    disturbances: object[] = [],
  ): string[] => found({ calls, holds, ...more, idle: { silenceNs: ms(2000), disturbances: disturbances as never } });

  it('is found where somebody waits for what nobody holds, over several calls too', () => {
    expect(idle([call(0, 1000)])).toEqual([]);
    expect(idle([call(0, 1001)])).toEqual(['idle']);
    expect(idle([call(0, 600), call(500, 1001)])).toEqual(['idle']);
    expect(idle([call(0, 600), call(601, 1500)])).toEqual([]);
    expect(found({ calls: [call(0, 1001)] })).toEqual([]);
  });

  it('ends where somebody holds, and begins again', () => {
    const held = hold({ worker: 'v', client: 5, grantedAt: ms(500), believedUntil: ms(501) });
    expect(idle([call(0, 1500)], [held])).toEqual([]);
    expect(idle([call(0, 1502)], [held])).toEqual(['idle']);
    expect(idle([call(0, 1502)], [{ ...held, key: 'other' }])).toEqual(['idle']);
  });

  it('does not count what the own client suffered, nor the time in which a process did not run', () => {
    expect(idle([call(0, 2000)], [], {}, [{ from: ms(0), to: ms(1000), client: 0 }])).toEqual([]);
    expect(idle([call(0, 2001)], [], {}, [{ from: ms(0), to: ms(1000), client: 0 }])).toEqual(['idle']);
    expect(idle([call(0, 2000)], [], { stalls: new Map([['v', [{ from: ms(0), to: ms(1000) }]]]) })).toEqual([]);
  });

  it('lasts as long as the server keeps what is silent for each other client that may have died', () => {
    const others = [1, 1, 2].map((client) => ({ from: ms(100), to: ms(200), client }));
    expect(idle([call(0, 5000)], [], {}, others)).toEqual([]);
    expect(idle([call(0, 5001)], [], {}, others)).toEqual(['idle']);
    expect(idle([call(0, 3100)], [], {}, [{ from: ms(100), to: ms(200), client: undefined }])).toEqual([]);
    expect(idle([call(3000, 4001)], [], {}, [{ from: ms(100), to: ms(900), client: 1 }])).toEqual(['idle']);
  });

  it('is not judged for keys that somebody collects', () => {
    expect(idle([call(0, 9000), call(0, 10, { key: 'j+k' })])).toEqual([]);
  });
});

describe('contention', () => {
  const wait = (worker: string, from: number, to: number, key = 'k'): Call => ({
    ...{ worker, client: 0, key, invokedAt: ms(from), deadlineAt: ms(60_000), answeredAt: ms(to), outcome: 'timeout' },
    excused: false,
  });
  const contended = (...others: Call[]): number =>
    judge(evidence({ holds: [hold()], calls: [wait('w', 99, 100), ...others] })).contended;

  it('is a hold that was granted while somebody in another process waited', () => {
    expect(contended()).toBe(0);
    expect(contended(wait('w', 98, 120))).toBe(0);
    expect(contended(wait('v', 98, 120))).toBe(1);
    expect(contended(wait('v', 98, 120, 'j+k'))).toBe(1);
    expect(contended(wait('v', 98, 120, 'j'))).toBe(0);
    expect(contended(wait('v', 90, 99), wait('v', 101, 120))).toBe(0);
  });
});

describe('fences', () => {
  it('rise from holder to holder', () => {
    const later = hold({ grantedAt: ms(201), believedUntil: ms(202) });
    expect(found({ holds: [hold(), { ...later, fence: '02' }] })).toEqual([]);
    expect(found({ holds: [hold({ fence: '03' }), { ...later, fence: '02' }] })).toEqual(['fences']);
    expect(found({ holds: [hold({ fence: '02' }), { ...later, fence: '02' }] })).toEqual(['fences']);
  });

  it('rise at the daemon, over its lives, for semaphores too', () => {
    const first = life({ grants: [grant({ fence: '05', limit: 3 })] });
    expect(found({ lives: [first, life({ grants: [grant({ fence: '04', limit: 3 })] })] })).toEqual(['fences']);
    expect(found({ lives: [first, life({ grants: [grant({ fence: '06', limit: 3 })] })] })).toEqual([]);
  });
});

describe('order', () => {
  const event = (type: QueueEvent['type'], place: number): QueueEvent => ({ type, at: ms(place), key: 'k', place });
  const queue = (...events: QueueEvent[]): string[] => found({ lives: [life({ queue: events })] });

  it('is that of the places', () => {
    const [one, two] = [event('queued', 1), event('queued', 2)];
    expect(queue(one, two, event('granted', 1), event('granted', 2))).toEqual([]);
    expect(queue(one, two, event('granted', 2))).toEqual(['order']);
    expect(queue(one, two, event('left', 1), event('granted', 2))).toEqual([]);
  });

  it('has nobody before those who wait', () => {
    expect(queue(event('queued', 1), event('granted', 0))).toEqual(['order']);
    expect(queue(event('granted', 0), event('queued', 1))).toEqual([]);
  });
});

describe('leaks', () => {
  const leaks = (grants: Grant[], more: Partial<Evidence> = {}, of: Partial<DaemonLife> = {}): string[] =>
    found({ lives: [life({ grants, ...of })], ...more });

  it('are grants that outlive their lease and the sweep behind it', () => {
    expect(leaks([grant({ freedAt: ms(99 + 2000) })])).toEqual([]);
    expect(leaks([grant({ freedAt: ms(99 + 2400) })])).toEqual(['leaks']);
    expect(leaks([grant({ freedAt: undefined, cause: undefined })])).toEqual(['leaks']);
  });

  it('count from the end of the belief', () => {
    const late = [grant({ freedAt: ms(4000) })];
    expect(leaks(late, { holds: [hold({ believedUntil: ms(3900) })] })).toEqual([]);
    expect(leaks(late, { holds: [hold({ believedUntil: ms(1000) })] })).toContain('leaks');
  });

  it('are not what a killed daemon took with it, nor what a stopped one could not free', () => {
    expect(leaks([grant({ freedAt: undefined, cause: undefined })], {}, { killedAt: ms(9000) })).toEqual([]);
    const stalls = [{ from: ms(200), to: ms(5000) }];
    expect(leaks([grant({ freedAt: ms(5100) })], {}, { stalls })).toEqual([]);
  });

  it('are not what is kept while other keys are waited for', () => {
    const call: Call = {
      ...{ worker: 'w', client: 0, key: 'j+k', invokedAt: ms(90), deadlineAt: ms(4000), answeredAt: ms(3900) },
      ...{ outcome: 'timeout', excused: false },
    };
    expect(leaks([grant({ freedAt: ms(4000) })], { calls: [call] })).toEqual([]);
    expect(leaks([grant({ freedAt: ms(4000) })], { calls: [{ ...call, key: 'j+kk' }] })).toEqual(['leaks']);
    const killed = { ...call, answeredAt: undefined, excused: true };
    expect(leaks([grant({ freedAt: ms(4000) })], { calls: [killed] })).toEqual([]);
    expect(leaks([grant({ freedAt: ms(6300) })], { calls: [killed] })).toEqual(['leaks']);
  });
});

describe('answers', () => {
  const call = (answeredAt: number | undefined, excused = false): Call => ({
    ...{ worker: 'w', client: 0, key: 'k', invokedAt: ms(0), deadlineAt: ms(1000), outcome: 'timeout' },
    ...{ answeredAt, excused },
  });

  it('come by the deadline', () => {
    expect(found({ calls: [call(ms(1100))] })).toEqual([]);
    expect(found({ calls: [call(ms(1200))] })).toEqual(['answers']);
    expect(found({ calls: [call(undefined)] })).toEqual(['answers']);
    expect(found({ calls: [call(undefined, true)] })).toEqual([]);
  });

  it('may be late by the time in which the process did not run', () => {
    expect(found({ calls: [call(ms(1200))], stalls: new Map([['w', [{ from: ms(900), to: ms(1150) }]]]) })).toEqual([]);
    expect(found({ calls: [call(ms(1200))], stalls: new Map([['v', [{ from: ms(900), to: ms(1150) }]]]) })).toEqual([
      'answers',
    ]);
  });
});

describe('the zombie window', () => {
  const lost = (at: number): Hold => hold({ end: 'lost', lostAt: ms(at), believedUntil: ms(at) });
  const freed = (at: number): DaemonLife[] => [life({ grants: [grant({ freedAt: ms(at), cause: 'closed' })] })];

  it('is closed where nothing was cut', () => {
    expect(found({ holds: [lost(200)], lives: freed(200) })).toEqual([]);
    expect(found({ holds: [lost(201)], lives: freed(200) })).toEqual(['window']);
    expect(judge(evidence({ holds: [lost(190)], lives: freed(200) })).widestSilentNs).toBe(ms(-10));
  });

  it('is 50 ms after a cut, and what the process slept', () => {
    const cuts = [{ at: ms(199), client: 0 }];
    expect(found({ holds: [lost(249)], lives: freed(200), cuts })).toEqual([]);
    expect(found({ holds: [lost(251)], lives: freed(200), cuts })).toEqual(['window']);
    const stalls = new Map([['w', [{ from: ms(210), to: ms(240) }]]]);
    expect(found({ holds: [lost(270)], lives: freed(200), cuts, stalls })).toEqual([]);
  });

  it('does not count a moment twice in which two processes did not run', () => {
    const cuts = [{ at: ms(199), client: 0 }];
    const stall = { from: ms(210), to: ms(240) };
    const both = { stalls: new Map([['w', [stall]]]), proxyStalls: [stall] };
    expect(found({ holds: [lost(280)], lives: freed(200), cuts, ...both })).toEqual([]);
    expect(found({ holds: [lost(281)], lives: freed(200), cuts, ...both })).toEqual(['window']);
  });

  it('begins, where the daemon was killed, when the system had ended it', () => {
    const killed = (goneAt: number): DaemonLife[] => [
      readDaemonLog('G 99000000 k 01 1 0 1 1000\nf 150000000\n', {
        ...{ sweepMs: 1000, killedAt: ms(200), goneAt: ms(goneAt) },
      }),
    ];
    expect(found({ holds: [lost(290)], lives: killed(240) })).toEqual([]);
    expect(found({ holds: [lost(291)], lives: killed(240) })).toEqual(['window']);
    expect(found({ holds: [lost(251)], lives: killed(200) })).toEqual(['window']);
  });

  it('is seen where the holder noticed nothing', () => {
    expect(found({ holds: [hold({ believedUntil: ms(300) })], lives: freed(200) })).toEqual(['window']);
  });
});

describe('the logs of a worker', () => {
  const start = 'i 10 0.1 2 k 1 1000\ng 20 0.1 k aa\n';

  it('tell calls and holds', () => {
    const log = readWorkerLog('w', `${start}r 60 aa 50\nd 70 aa 1\nf 80\nz 90\nf 91\n`, 3);
    expect(log.holds).toMatchObject([
      { key: 'k', client: 5, fence: 'aa', grantedAt: 20, end: 'released', believedUntil: 50 },
    ]);
    expect(log.calls).toMatchObject([{ answeredAt: 20, outcome: 'granted', excused: false }]);
  });

  it('end with the last flush when it was killed, and may be torn', () => {
    const log = readWorkerLog('w', `${start}f 40\nr 60 a`, 0);
    expect(log.holds).toMatchObject([{ end: 'open', believedUntil: 40 }]);
    expect(readWorkerLog('w', 'i 10 0.1 2 k 1 1000\nf 11\n', 0).calls).toMatchObject([{ excused: true }]);
  });

  it('let belief end with the last look before a stall, and else with the news', () => {
    expect(readWorkerLog('w', `${start}l 90 aa 50 expired\nf 91\n`, 0).holds).toMatchObject([
      { believedUntil: 90, lostAt: 90 },
    ]);
    expect(readWorkerLog('w', `${start}l 90 aa 50 expired\ns 52 91\nf 91\n`, 0).holds).toMatchObject([
      { believedUntil: 50 },
    ]);
  });

  it('believe a success after a look that was false: the lock was held until the work was done', () => {
    expect(readWorkerLog('w', `${start}l 60 aa 50 seen\nr 90 aa 80\nf 91\n`, 0).holds).toMatchObject([
      { end: 'released', believedUntil: 80 },
    ]);
  });

  it('believe in what reads as held again: a stall may have kept its proof in the buffers', () => {
    expect(readWorkerLog('w', `${start}l 60 aa 50 seen\nw 70 aa\nf 91\n`, 0).holds).toMatchObject([
      { end: 'open', believedUntil: 91, lostAt: undefined },
    ]);
    expect(readWorkerLog('w', `${start}l 60 aa 50 seen\nw 70 aa\nl 90 aa 80 expired\nf 91\n`, 0).holds).toMatchObject([
      { end: 'lost', believedUntil: 90, lostAt: 90 },
    ]);
  });

  it('hand on what the worker found wrong', () => {
    expect(readWorkerLog('w', '! 5 it is wrong\nf 6\n', 0).complaints).toMatchObject([{ text: 'w: it is wrong' }]);
  });
});

describe('the log of a daemon', () => {
  it('tells grants and queues', () => {
    const text = 'Q 5 1 k\nG 10 k aa 7 1 1 2000\nX 15 aa 3000\nQ 16 2 k\nF 20 aa c\nL 21 2 k\nf 30\n';
    const told = readDaemonLog(text, { sweepMs: 1000 });
    expect(told.grants).toEqual([
      {
        ...{ key: 'k', fence: 'aa', session: 7, place: 1, limit: 1, grantedAt: 10 },
        ...{ leaseNs: ms(3000), freedAt: 20, cause: 'closed' },
      },
    ]);
    expect(told.queue.map(({ type, place }) => `${type} ${place}`)).toEqual([
      'queued 1',
      'granted 1',
      'queued 2',
      'left 2',
    ]);
    expect(told.completeUntil).toBe(30);
  });
});
