import { afterAll, describe, it } from '@jest/globals';
import { CommandLine } from '../support/command-line.js';
import { corpus, isTimed, needsProcess, stepsOf, type Line, type Scenario, type Step } from './corpus.js';
import { DisturbedError, replay } from './replay.js';
import { Schedule } from './schedule.js';
import { inChild, inProcess, older, running, type Target, type Transport } from './targets.js';

interface Case {
  file: string;
  scenario: Scenario;
  steps: Step[];
}

const casesOf = (line: Line): Case[] =>
  corpus().flatMap(({ file, scenarios }) =>
    scenarios.map((scenario) => ({ file, scenario, steps: stepsOf(scenario, line) })),
  );

/** A test for each scenario of the corpus, against daemons of ours, with the answers of the 1.16 line. */
export function conformanceSuite(transport: Transport): void {
  serversTests(casesOf('1.16'), new OurServers(transport));
}

/**
 * A test for each scenario of the corpus, with the answers that 1.10 really gave, against the daemon of the tests that
 * behaves as 1.10 did.
 * @param except names of scenarios that it does not imitate
 */
export function olderDaemonSuite(except: readonly string[]): void {
  const cases = casesOf('1.10').filter(({ scenario }) => !except.includes(scenario.name));
  serversTests(cases, new OlderServers());
}

function serversTests(cases: Case[], servers: Servers): void {
  scenarioTests(cases, (one) => servers.use(one, (target) => replay(one.steps, target)));
  afterAll(() => servers.stop());
}

/** A test for each scenario that a daemon with default flags can be asked about, whatever else it does. */
export function runningDaemonSuite(address: { host: string; port: number }, line: Line): void {
  const target = running(address);
  const shareable = casesOf(line).filter(
    ({ scenario, steps }) => !scenario.fresh && !scenario.server && !needsProcess(steps),
  );
  scenarioTests(shareable, ({ steps }) => replay(steps, target));
}

/** How much of the machine's attention a scenario wants. */
const weightOf = ({ steps }: Case): number => (needsProcess(steps) ? 4 : isTimed(steps) ? 3 : 1);

function scenarioTests(cases: Case[], run: (one: Case) => Promise<void>): void {
  const schedule = new Schedule(cases.map((one) => ({ weight: weightOf(one), run: () => run(one) })));
  for (const file of new Set(cases.map((one) => one.file))) {
    describe(file, () => {
      cases.forEach((one, index) => {
        if (one.file === file) it(one.scenario.name, () => schedule.result(index), 60_000);
      });
    });
  }
  afterAll(() => schedule.settled());
}

const ATTEMPTS = 6;

/** The servers of a run: one for each set of flags and file, and one of its own for each fresh scenario. */
abstract class Servers {
  private readonly shared = new Map<string, Promise<Target>>();

  protected abstract start(one: Case): Promise<Target>;

  /** Where the machine may be to blame, a scenario is played again, on a server of its own. */
  async use(one: Case, work: (target: Target) => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.useOnce(one, work, attempt > 1);
      } catch (error) {
        if (!(error instanceof DisturbedError) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  private async useOnce(one: Case, work: (target: Target) => Promise<void>, again: boolean): Promise<void> {
    if (!one.scenario.fresh && !again) return work(await this.sharedBy(one));
    const target = await this.start(one);
    try {
      await work(target);
    } finally {
      await target.stop();
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.shared.values()].map(async (target) => (await target).stop()));
  }

  private sharedBy(one: Case): Promise<Target> {
    const name = `${one.file} ${JSON.stringify(one.scenario.server)}`;
    const target = this.shared.get(name) ?? this.start(one);
    this.shared.set(name, target);
    return target;
  }
}

class OurServers extends Servers {
  private commandLine: Promise<CommandLine> | undefined;

  constructor(private readonly transport: Transport) {
    super();
  }

  override async stop(): Promise<void> {
    await super.stop();
    await (await this.commandLine)?.remove();
  }

  protected async start({ scenario, steps }: Case): Promise<Target> {
    const flags = scenario.server ?? {};
    if (this.transport === 'duplex' || !needsProcess(steps)) return inProcess(flags, this.transport);
    this.commandLine ??= CommandLine.build();
    return inChild(await this.commandLine, flags);
  }
}

class OlderServers extends Servers {
  protected start({ scenario }: Case): Promise<Target> {
    return older(scenario.server ?? {});
  }
}
