import { describe, expect, it } from '@jest/globals';
import { DFLOCKD_1_10, type OlderBehaviour } from '../support/older-behaviour.js';
import { corpus, stepsOf, type Scenario } from './corpus.js';
import { replay } from './replay.js';
import { olderDaemonSuite } from './suite.js';
import { older } from './targets.js';

/** Integer overflows of 1.10, which nobody should imitate (docs/protocol.md 1.3). */
const OVERFLOWS = [
  'seconds-beyond-timeout-free',
  'seconds-beyond-timeout-held',
  'seconds-beyond-wait',
  'seconds-beyond-lease-enqueue',
  'seconds-beyond-lease-wraps',
];

olderDaemonSuite(OVERFLOWS);

describe('each switch of the older daemon', () => {
  const scenarios = new Map(corpus().flatMap((file) => file.scenarios.map((one) => [one.name, one] as const)));
  const scenario = (name: string): Scenario => {
    const found = scenarios.get(name);
    if (!found) throw new Error(`there is no scenario ${name}`);
    return found;
  };

  /** A recording of 1.10 that shows it. */
  const SHOWN_BY: Readonly<Record<Exclude<keyof OlderBehaviour, 'randomTokens'>, string>> = {
    noPing: 'probes-pipelined',
    noSignals: 'signal-listen',
    oneNamespace: 'namespace-sr-releases-lock',
    closeUnnoticed: 'half-close-while-blocked-with-tail',
    anyTail: 'tail-4096-bytes',
    staleGrants: 'stale-grant-unswept',
    drainGoesOn: 'sigterm-free-lock',
    shortAuth: 'overlong-auth-line-without-auth',
    untrimmedFlag: 'auth-flag-with-blanks',
    deadStay: 'no-auto-release-dead-enqueued',
    wrongTokenIsUse: 'gc-wrong-token-and-idle',
  };

  it.each(Object.entries(SHOWN_BY))('%s makes the difference in %s', async (name, shownBy) => {
    const one = scenario(shownBy);
    const target = await older(one.server ?? {}, { ...DFLOCKD_1_10, [name]: false });
    await expect(replay(stepsOf(one, '1.10'), target)).rejects.toThrow();
    await target.stop();
  });

  it('randomTokens: they hold no number that rises', async () => {
    const tokens: string[] = [];
    const target = await older({});
    const wire = await target.connect();
    for (let i = 0; i < 20; i++) tokens.push((await wire.ask(`l\nkey-${i}\n0\n`)).split(' ')[1]!);
    wire.destroy();
    await target.stop();
    expect(tokens).not.toEqual([...tokens].sort());
  });
});
