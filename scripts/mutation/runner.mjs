// A test runner for StrykerJS: all specs of a folder in one process, loaded once. Jest loads every module again for
// each mutant, which costs a second; most mutants need a few tests of a millisecond.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { register } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin';
import {
  determineHitLimitReached,
  DryRunStatus,
  TestStatus,
  toMutantRunResult,
} from '@stryker-mutator/api/test-runner';
import fc from 'fast-check';
import { folderOf } from '../mutation-folders.mjs';
import { NOT_RUN } from './left-over.mjs';

/** A test counts as hanging after this time, or after eight times its duration without a mutant. */
const MIN_TIMEOUT_MS = 300;
/** In the sandbox, for all workers: the duration of each test. */
const TIMES = '.test-times.json';

/** After this time, mutants are left for the next run. */
const UNTIL = Number(process.env.MUTATION_UNTIL ?? Infinity);

/** Shared with the mutated code. */
const context = (globalThis.__stryker__ ??= {});

class InProcessRunner {
  #tests;
  #loads = 0;

  capabilities() {
    return { reloadEnvironment: true };
  }

  async dryRun() {
    await this.#load();
    const results = await this.#run({ bail: false });
    writeFileSync(TIMES, JSON.stringify(Object.fromEntries(results.tests.map((test) => [test.id, test.timeSpentMs]))));
    return { ...results, mutantCoverage: context.mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, mutantActivation, reloadEnvironment, disableBail }) {
    if (Date.now() > UNTIL) return NOT_RUN;
    context.hitLimit = hitLimit;
    context.hitCount = hitLimit ? 0 : undefined;
    if (reloadEnvironment) this.#tests = undefined;
    context.activeMutant = undefined;
    if (mutantActivation === 'static') context.activeMutant = activeMutant.id;
    try {
      await this.#load();
    } catch (error) {
      return toMutantRunResult({ status: DryRunStatus.Error, errorMessage: String(error?.stack ?? error) });
    }
    context.activeMutant = activeMutant.id;
    const ids = testFilter && new Set(testFilter);
    const results = await this.#run({ ids, bail: !disableBail });
    const endless = determineHitLimitReached(context.hitCount, context.hitLimit);
    return toMutantRunResult(endless ?? results, true);
  }

  async #load() {
    if (this.#tests) return;
    if (++this.#loads === 1) {
      // Errors that a mutant leaves behind must not end the process; a test that should notice them fails by itself.
      process.on('uncaughtException', () => undefined);
      process.on('unhandledRejection', () => undefined);
      register('./hooks.mjs', import.meta.url);
      // Makes results reproducible.
      fc.configureGlobal({ seed: 1 });
    }
    const tests = await import('./jest-globals.mjs');
    tests.forgetTests();
    for (const folder of folderOf(process.env.MUTATION_FOLDER)) {
      const specs = readdirSync(folder.in, { recursive: true }).filter(
        (name) => name.endsWith('.spec.ts') && !folder.but.test(name),
      );
      for (const spec of specs.sort()) {
        const { href } = pathToFileURL(resolve(join(folder.in, spec)));
        // Its imports are loaded again too.
        await tests.inFile(() => import(`${href}?load=${this.#loads}`));
      }
    }
    this.#tests = tests;
  }

  async #run({ ids, bail }) {
    const { idOf, runTests } = this.#tests;
    const times = existsSync(TIMES) ? JSON.parse(readFileSync(TIMES, 'utf8')) : {};
    const tests = [];
    await runTests({
      timeoutOf: (test) => Math.max(MIN_TIMEOUT_MS, 8 * (times[idOf(test)] ?? 1000)),
      wanted: (test) => !test.skipped && (!ids || ids.has(idOf(test))),
      begins: (test) => (context.currentTestId = idOf(test)),
      told(test, failure, timeSpentMs) {
        context.currentTestId = undefined;
        const id = idOf(test);
        const outcome = failure
          ? { status: TestStatus.Failed, failureMessage: String(failure.error?.stack ?? failure.error) }
          : { status: TestStatus.Success };
        tests.push({ id, name: id, timeSpentMs, ...outcome });
        return !(failure && bail);
      },
    });
    return { status: DryRunStatus.Complete, tests };
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, 'in-process', InProcessRunner)];
