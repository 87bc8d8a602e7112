import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { LockBackend, SignalTaker } from '../../lib/backends/backend.js';
import { type LockError, ShuttingDownError, UnsupportedError } from '../../lib/common/errors.js';
import { until } from '../support/until.js';
import type { Fixture } from './lock-backend.contract.js';

/** Other tests may use the same daemon. */
const run = `signals-${randomBytes(4).toString('hex')}`;
let last = 0;

/** Notes what it is told. */
class Notebook implements SignalTaker {
  readonly heard: string[] = [];
  error: LockError | undefined;

  signal(channel: string, payload: string): void {
    this.heard.push(`${channel} ${payload}`);
  }

  failed(error: LockError): void {
    this.error = error;
  }
}

/** What every backend with signals promises; where the daemon has none, that it says so. */
export function describeSignals(name: string, setUp: () => Promise<Fixture>, noSignals = false): void {
  describe(`signals: ${name}`, () => {
    let fixture: Fixture;
    let a: LockBackend;
    let b: LockBackend;
    let root: string;

    beforeEach(async () => {
      fixture = await setUp();
      [a, b] = [fixture.connect(), fixture.connect()];
      await a.start();
      await b.start();
      root = `${run}-${++last}`;
    });

    afterEach(async () => {
      await Promise.all([a.close(1000), b.close(1000)]);
      await fixture.close();
    });

    /** Subscribes, and waits until signals arrive. */
    const listen = async (backend: LockBackend, pattern: string, group?: string): Promise<[Notebook, () => void]> => {
      const notes = new Notebook();
      const leave = backend.subscribe!(pattern, group, notes);
      const probe = pattern.replaceAll('*', 'probe').replaceAll('>', 'probe');
      // Within a group others get some of the probes.
      await until(async () => {
        await b.publish!(probe, 'probe');
        return notes.heard.length > 0;
      }, 'the listener');
      return [notes, leave];
    };
    const heard = ({ heard: all }: Notebook): string[] => all.filter((line) => !line.endsWith(' probe'));
    /** What was published before has arrived when this has. */
    let marks = 0;
    const settle = async (channel: string, ...notes: Notebook[]): Promise<void> => {
      const mark = `mark ${++marks}`;
      await b.publish!(channel, mark);
      const arrived = (): boolean => notes.every((each) => each.heard.includes(`${channel} ${mark}`));
      await until(arrived, 'the mark');
      for (const { heard: all } of notes) all.splice(all.indexOf(`${channel} ${mark}`), 1);
    };

    if (noSignals) {
      it('are refused', async () => {
        expect(a.capabilities.signals).toBe(true);
        const notes = new Notebook();
        a.subscribe!(root, undefined, notes);
        const member = new Notebook();
        a.subscribe!(root, 'group', member);
        await until(() => notes.error && member.error, 'the refusals');
        expect([notes.error, member.error]).toEqual([expect.any(UnsupportedError), expect.any(UnsupportedError)]);
        await expect(a.publish!(root, 'x')).rejects.toBeInstanceOf(UnsupportedError);
      });
      return;
    }

    it('reach those who listen, in order, text as it was', async () => {
      const [notes] = await listen(a, `${root}.>`);
      for (let i = 0; i < 20; i++) await b.publish!(`${root}.a`, `${i} ю 🔒 `);
      await settle(`${root}.a`, notes);
      expect(heard(notes)).toEqual(Array.from({ length: 20 }, (_, i) => `${root}.a ${i} ю 🔒 `));
    });

    it('come once to each who listens, whoever else in the process does', async () => {
      const [all] = await listen(a, `${root}.>`);
      const [tokens] = await listen(a, `${root}.*.*`);
      const [exact, leave] = await listen(a, `${root}.x.y`);
      const [twin] = await listen(a, `${root}.x.y`);
      for (const channel of ['x.y', 'x.z', 'x']) await b.publish!(`${root}.${channel}`, 'p');
      await settle(`${root}.x.y`, all, tokens, exact, twin);
      expect(heard(all)).toEqual([`${root}.x.y p`, `${root}.x.z p`, `${root}.x p`]);
      expect(heard(tokens)).toEqual([`${root}.x.y p`, `${root}.x.z p`]);
      expect([heard(exact), heard(twin)]).toEqual([[`${root}.x.y p`], [`${root}.x.y p`]]);
      leave();
      await b.publish!(`${root}.x.y`, 'q');
      await settle(`${root}.x.y`, all, tokens, twin);
      expect(heard(exact)).toHaveLength(1);
      expect(heard(twin)).toHaveLength(2);
    });

    it('go to one member of each group, in turn, and to everybody else', async () => {
      const [everyone] = await listen(a, `${root}.*`);
      const members: Notebook[] = [];
      for (const backend of [a, a, b]) members.push((await listen(backend, `${root}.*`, 'workers'))[0]);
      const [other] = await listen(b, `${root}.*`, 'others');
      for (let i = 0; i < 9; i++) expect(await b.publish!(`${root}.job`, `${i}`)).toBe(3);
      await settle(`${root}.job`, everyone, other);
      await until(() => members.reduce((sum, each) => sum + heard(each).length, 0) >= 9, 'all jobs');
      const jobs = members.map((each) => heard(each).filter((line) => !line.includes('mark')));
      expect(jobs.map((each) => each.length)).toEqual([3, 3, 3]);
      expect(jobs.flat().sort()).toEqual(heard(everyone));
      expect(heard(other)).toEqual(heard(everyone));
    });

    it('end with the subscription', async () => {
      const [first, leaveFirst] = await listen(a, root);
      const [, leaveSecond] = await listen(a, root, 'group');
      leaveFirst();
      leaveSecond();
      leaveSecond();
      await until(async () => (await b.publish!(root, 'late')) === 0, 'nobody');
      expect(first.heard).not.toContain(`${root} late`);
      const [again] = await listen(a, root);
      await b.publish!(root, 'again');
      await settle(root, again);
      expect(heard(again)).toContain(`${root} again`);
    });

    it('end with the backend', async () => {
      const [notes] = await listen(a, root);
      const [member] = await listen(a, root, 'group');
      await a.close(1000);
      expect([notes.error, member.error]).toEqual([expect.any(ShuttingDownError), expect.any(ShuttingDownError)]);
      const late = new Notebook();
      a.subscribe!(root, undefined, late);
      expect(late.error).toBeInstanceOf(ShuttingDownError);
      await expect(a.publish!(root, 'x')).rejects.toBeInstanceOf(ShuttingDownError);
    });
  });
}
