import { setTimeout as pause } from 'node:timers/promises';
import { judge, type Verdict } from '../checks/index.js';
import type { Disturbance, Violation } from '../log/evidence.js';
import { nanos } from '../log/time.js';
import { drawScenario, type Fault, isOfClient, type Scenario } from '../plan/scenario.js';
import { type Child, Killed } from './child.js';
import { Stage } from './stage.js';

/** How long the callers of a round may take to end when everything works again. */
const FINISH_WITHIN_MS = 15_000;

export interface RoundResult extends Verdict {
  readonly seed: number;
  readonly scenario: Scenario;
  /** How often each fault was done. */
  readonly faults: ReadonlyMap<string, number>;
  /** What was done and when, on the clock of the logs: a round is not the same when it is repeated. */
  readonly happened: readonly string[];
}

/** One round of random faults under many callers of dflockd. */
export async function runRound(seed: number, durationMs: number): Promise<RoundResult> {
  const scenario = drawScenario(seed, durationMs);
  const stage = await Stage.open(scenario.daemon);
  try {
    for (const plan of scenario.workers)
      await stage.addWorker('worker', plan.clients, [JSON.stringify(plan)], { steppedClock: plan.steppedClock });
    const round = new Round(stage, scenario);
    const verdict = judge(await stage.evidence(await round.run()));
    return { ...verdict, seed, scenario, faults: countFaults(scenario), happened: round.happened };
  } finally {
    await stage.close();
  }
}

/** Where a round is played. */
export interface Arena {
  readonly posts: readonly { readonly child: Child }[];
  readonly proxy: Child;
  readonly daemon: Pick<Child, 'stop' | 'continue'>;
  /** Workers that nobody knows. */
  readonly strays: readonly string[];
  restartWorker(index: number): Promise<void>;
  restartProxy(): Promise<void>;
  restartDaemon(): Promise<void>;
  replaceDaemon(): Promise<void>;
  stepClock(byS: number): Promise<void>;
  /** Everybody runs, and everything passes. */
  calm(): Promise<void>;
  /** What is held or waited for. */
  held(): Promise<string[]>;
  /** What is held although all callers have ended, while their clients are still connected. Default: not looked at. */
  unclaimed?(): Promise<string[]>;
}

export class Round {
  private readonly complaints: Violation[] = [];
  private readonly pending = new Set<Promise<unknown>>();
  /** What was done, to whom, and for how long. */
  readonly disturbances: Disturbance[] = [];
  /** The same, for whoever reads of a violation. */
  readonly happened: string[] = [];

  constructor(
    private readonly stage: Arena,
    private readonly scenario: Scenario,
  ) {}

  async run(): Promise<readonly Violation[]> {
    const { stage, scenario } = this;
    await Promise.all(stage.posts.map(({ child }) => child.ask('start')));
    const began = performance.now();
    for (const fault of scenario.faults) {
      await pause(Math.max(fault.at - (performance.now() - began), 0));
      this.note(this.disturb(fault));
    }
    await pause(Math.max(scenario.durationMs - (performance.now() - began), 0));
    // Restarts that are under way end first.
    while (this.pending.size > 0) {
      await stage.calm().catch(ignoreKilled);
      await Promise.race([Promise.all(this.pending), pause(200)]);
    }
    await stage.calm();
    await this.finish();
    return this.complaints;
  }

  private async disturb(fault: Fault): Promise<void> {
    const from = nanos();
    try {
      await this.befall(fault);
    } finally {
      const to = nanos();
      this.happened.push(`${from} to ${to}: ${JSON.stringify(fault)}`);
      for (const client of this.clientsOf(fault)) this.disturbances.push({ from, to, client });
    }
  }

  /** Undefined: all of them. */
  private clientsOf(fault: Fault): readonly (number | undefined)[] {
    if (isOfClient(fault)) return [fault.target < 0 ? undefined : fault.target];
    if (fault.do !== 'block' && !('whom' in fault && fault.whom === 'worker')) return [undefined];
    const { workers } = this.scenario;
    const before = workers.slice(0, fault.target).reduce((sum, { clients }) => sum + clients, 0);
    return Array.from({ length: workers[fault.target]!.clients }, (_, i) => before + i);
  }

  private note(work: Promise<unknown>): void {
    const noted = work
      .catch(ignoreKilled)
      .catch((error: Error) => this.complain(`the lab failed: ${error.stack}`))
      .finally(() => this.pending.delete(noted));
    this.pending.add(noted);
  }

  private complain(text: string): void {
    this.complaints.push({ check: 'lab', at: nanos(), text });
  }

  private async befall(fault: Fault): Promise<void> {
    const { stage } = this;
    const { target } = fault;
    const link = target < 0 ? 'all' : target;
    switch (fault.do) {
      case 'reset':
        return stage.proxy.ask('reset', link);
      case 'halfClose':
        return stage.proxy.ask('halfClose', link, fault.direction);
      case 'hole':
      case 'hold':
        await stage.proxy.ask(fault.do, link, fault.directions);
        return this.passAfter(fault.forMs, link);
      case 'delay':
      case 'jitter':
      case 'throttle':
      case 'split':
        await stage.proxy.ask('shape', link, { [SHAPES[fault.do]]: fault.amount }, fault.directions);
        return this.passAfter(fault.forMs, link);
      case 'truncate':
        await stage.proxy.ask('cutAfter', link, fault.after, fault.how, fault.direction);
        return this.passAfter(fault.forMs, link);
      case 'door':
        await stage.proxy.ask('door', link, fault.door);
        await pause(fault.forMs);
        return stage.proxy.ask('door', link, 'open');
      case 'stop': {
        const child = fault.whom === 'worker' ? stage.posts[target]!.child : stage[fault.whom];
        child.stop();
        await pause(fault.forMs);
        return child.continue();
      }
      case 'kill':
        if (fault.whom === 'worker')
          return stage.restartWorker(target).then(() => stage.posts[target]!.child.ask('start'));
        if (fault.whom === 'proxy') return stage.restartProxy();
        await this.everythingPasses();
        return stage.restartDaemon();
      case 'drain':
        await this.everythingPasses();
        return stage.replaceDaemon();
      case 'block':
        return stage.posts[target]!.child.ask('block', fault.forMs);
      case 'stepClock':
        return stage.stepClock(fault.byS);
    }
  }

  /** A holder that cannot be told is not protected from a daemon that has forgotten it. */
  private async everythingPasses(): Promise<void> {
    this.stage.proxy.continue();
    this.stage.daemon.continue();
    await this.stage.proxy.ask('pass', 'all');
  }

  private async passAfter(ms: number, link: number | 'all'): Promise<void> {
    await pause(ms);
    await this.stage.proxy.ask('pass', link);
  }

  /** Everybody ends what they have begun, and the daemon has nothing left. */
  private async finish(): Promise<void> {
    if (this.stage.unclaimed) {
      await this.allEnd('settle');
      await this.nothingLeft(() => this.stage.unclaimed!(), 'held after all callers had ended');
    }
    await this.allEnd('finish');
    await Promise.all(this.stage.posts.map(({ child }) => child.kill()));
    const { strays } = this.stage;
    if (strays.length > 0) this.complain(`workers that nobody ends: ${strays.join(', ')}`);
    await this.nothingLeft(() => this.stage.held(), 'held or waited for after everybody had gone');
  }

  private async allEnd(how: 'settle' | 'finish'): Promise<void> {
    const ending = Promise.all(this.stage.posts.map(({ child }) => child.ask(how)));
    const late = pause(FINISH_WITHIN_MS).then(() => 'late');
    if ((await Promise.race([ending, late])) === 'late')
      this.complain('callers had not ended long after their deadlines');
  }

  /** What a process held that was killed may last for one lease. */
  private async nothingLeft(look: () => Promise<string[]>, text: string): Promise<void> {
    const longest = Math.max(...this.scenario.workers.flatMap(({ leasesS }) => leasesS));
    const deadline = performance.now() + Math.min(longest, 5) * 1000 + 2000;
    let left: string[] = [];
    do {
      left = await look();
      if (left.length === 0) return;
      await pause(20);
    } while (performance.now() < deadline);
    this.complain(`${text}: ${left.join(', ')}`);
  }
}

/** What was done to a process that another fault has killed since is over. */
function ignoreKilled(error: unknown): void {
  if (!(error instanceof Killed)) throw error;
}

const SHAPES = { delay: 'delayMs', jitter: 'jitterMs', throttle: 'bytesPerSecond', split: 'pieceBytes' } as const;

export const faultName = (fault: Fault): string =>
  fault.do === 'stop' || fault.do === 'kill' ? `${fault.do} ${fault.whom}` : fault.do;

export function countFaults({ faults }: Scenario, nameOf = faultName): Map<string, number> {
  const counts = new Map<string, number>();
  for (const fault of faults) counts.set(nameOf(fault), (counts.get(nameOf(fault)) ?? 0) + 1);
  return counts;
}
