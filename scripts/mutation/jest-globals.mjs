// What specs import from '@jest/globals', for the runner beside this file: the same functions, with jest's own `expect`
// and `each` tables.
import { expect } from 'expect';
import { ModuleMocker } from 'jest-mock';
import { bind } from 'jest-each';

/** Node's own timers; a test may replace the global ones. */
const { setTimeout, clearTimeout } = globalThis;
const HOOK_TIMEOUT_MS = 5000;
/** How many times longer a test that seems to hang may take at the second attempt. */
const CONFIRM_TIMES = 3;
const HOOKS = ['beforeAll', 'beforeEach', 'afterEach', 'afterAll'];

class TimedOut extends Error {}

const newBlock = (name, parent, skipped) => ({
  name,
  parent,
  skipped,
  children: [],
  ...Object.fromEntries(HOOKS.map((hook) => [hook, []])),
});

const root = newBlock('', undefined, false);
let current = root;

export const forgetTests = () => void (root.children = []);

/** Loads a file and collects what it registers: hooks outside of describe() apply only to the tests of that file. */
export async function inFile(load) {
  current = newBlock('', root, false);
  root.children.push(current);
  try {
    await load();
  } finally {
    current = root;
  }
}

const describeAs = (skipped) => (name, body) => {
  const block = newBlock(name, current, skipped || current.skipped);
  current.children.push(block);
  current = block;
  body();
  current = block.parent;
};
const itAs = (skipped) => (name, body, timeout) =>
  void current.children.push({ name, parent: current, skipped: skipped || current.skipped, body, timeout });
const hookAs = (kind) => (body) => void current[kind].push(body);

const withTables = (make) => Object.assign(make(false), { each: bind(make(false)), skip: make(true) });

export { expect };
/** The part of the API that specs use. */
export const jest = new ModuleMocker(globalThis);
export const describe = withTables(describeAs);
export const it = withTables(itAs);
export const test = it;
export const beforeAll = hookAs('beforeAll');
export const beforeEach = hookAs('beforeEach');
export const afterEach = hookAs('afterEach');
export const afterAll = hookAs('afterAll');

export const idOf = ({ name, parent }) => (parent ? `${idOf(parent)} ${name}`.trim() : name);

const blocksOf = (node) => (node.parent ? [...blocksOf(node.parent), node.parent] : []);
const hasWanted = (node, wanted) =>
  node.children ? node.children.some((child) => hasWanted(child, wanted)) : wanted(node);

/** Timeouts are counted in these steps. */
const STEP_MS = 10;

/** Waits for a hook or a test, up to its timeout. Time in which the machine runs something else hardly counts. */
async function inTime(body, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    let left = Math.ceil(ms / STEP_MS);
    const step = () => {
      if (left-- > 0) timer = setTimeout(step, STEP_MS);
      else reject(new TimedOut(`took ${ms} ms`));
    };
    step();
  });
  try {
    await Promise.race([body(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a test; returns its failure, or undefined. */
async function runTest(test, timeout) {
  const blocks = blocksOf(test);
  let failure;
  const attempt = async (body) => {
    try {
      await inTime(body, timeout);
    } catch (error) {
      failure ??= { error };
    }
  };
  for (const block of blocks) for (const hook of block.beforeEach) if (!failure) await attempt(hook);
  if (!failure) await attempt(test.body);
  for (const block of blocks.reverse()) for (const hook of block.afterEach) await attempt(hook);
  return failure;
}

/**
 * Runs tests one after the other. Calls `told` with each test and its failure, if any; if it returns false, the run
 * ends.
 */
export async function runTests({ wanted, timeoutOf, begins, told }) {
  let goesOn = true;
  const walk = async (block) => {
    for (const hook of block.beforeAll) await inTime(hook, HOOK_TIMEOUT_MS);
    for (const child of block.children) {
      if (!goesOn) break;
      if (!hasWanted(child, wanted)) continue;
      if (child.children) await walk(child);
      else {
        begins(child);
        const start = performance.now();
        let failure = await runTest(child, timeoutOf(child));
        // It may be a busy machine instead of a hanging test.
        if (failure?.error instanceof TimedOut) failure = await runTest(child, CONFIRM_TIMES * timeoutOf(child));
        goesOn = told(child, failure, performance.now() - start);
      }
    }
    for (const hook of block.afterAll) await inTime(hook, HOOK_TIMEOUT_MS);
  };
  await walk(root);
}
