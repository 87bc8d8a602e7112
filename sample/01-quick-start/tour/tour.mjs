// `npm start -- --once`: drives both instances and prints what happened.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startInstances } from './instances.mjs';

const WITHDRAWALS = 50;
const AMOUNT = 10;
const TICKS = 4;

/** Returns whether all was as it should be. */
export const tour = () =>
  drive('Two instances of one application; the lock daemon is inside the first.', startInstances, loss);

/**
 * Starts two instances, and drives them through withdrawals, cron ticks and what is given.
 *
 * @param {string} title
 * @param {(onLine: (line: string, instance: number) => void, usualPorts: boolean) => Promise<object>} start
 * @param {(instances: object, tools: object) => Promise<void>} loss
 */
export async function drive(title, start, loss) {
  const log = [];
  const failures = [];
  let instances;
  const check = (right, text) => {
    console.log(`    ${text}`);
    if (!right) failures.push(text.trim());
  };
  /** When the second instance has logged it. */
  const logged = async (text) => {
    for (let tries = 0; tries < 500; tries++, await pause(10)) {
      const found = log.find(({ line, instance }) => instance === 2 && line.includes(text));
      if (found) return found.at;
    }
    throw new Error(`nothing logged like "${text}"`);
  };
  try {
    console.log(`\n${title}\n`);
    instances = await start((line, instance) => log.push({ line, instance, at: performance.now() }), false);
    await withdrawals(instances, check);
    await cronTicks(instances, check);
    await loss(instances, { check, logged });
  } catch (error) {
    failures.push(error.message);
    console.error(log.map(({ line, instance }) => `[${instance}] ${line}`).join('\n'));
  } finally {
    await instances?.stop();
  }
  console.log(failures.length ? `\nWrong:\n  ${failures.join('\n  ')}\n` : '\nAll as it should be.\n');
  return failures.length === 0;
}

async function withdrawals({ urls }, check) {
  const right = 1000 - WITHDRAWALS * AMOUNT;
  console.log(`  ${WITHDRAWALS} withdrawals of ${AMOUNT} from 1000, over both instances at once`);
  for (const [path, account, locked] of [
    ['withdraw-unlocked', 'anna', false],
    ['withdraw', 'ben', true],
  ]) {
    const start = performance.now();
    const answers = await Promise.all(
      Array.from({ length: WITHDRAWALS }, (_, i) =>
        fetch(`${urls[i % 2]}/accounts/${account}/${path}?amount=${AMOUNT}`, { method: 'POST' }),
      ),
    );
    const ms = Math.round(performance.now() - start);
    const refused = answers.filter((answer) => !answer.ok).length;
    const balance = Number(await (await fetch(`${urls[0]}/accounts/${account}`)).text());
    const verdict = `${balance} left, ${balance === right ? 'right' : `wrong: should be ${right}`}`;
    check(
      refused === 0 && (balance === right) === locked,
      `${locked ? 'with @WithLock  ' : 'without the lock'}  ${verdict} (${ms} ms)${refused ? `, ${refused} refused` : ''}`,
    );
  }
}

async function cronTicks({ data }, check) {
  console.log('\n  @Cron every second on both instances, with @CronLock');
  const ticks = async () => {
    const lines = (await readFile(join(data, 'ticks.log'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
    return lines.map((line) => line.split(' ').map(Number));
  };
  const end = performance.now() + 2000 * TICKS;
  while (new Set((await ticks()).map(([second]) => second)).size < TICKS && performance.now() < end) await pause(50);
  // Who ran a tick a second time would have by then.
  await pause(300);
  const ran = await ticks();
  const seconds = ran.map(([second]) => second);
  const missing = seconds.at(-1) - seconds[0] + 1 - new Set(seconds).size;
  const twice = seconds.length - new Set(seconds).size;
  const on = (instance) => ran.filter(([, by]) => by === instance).length;
  check(
    ran.length >= TICKS && twice === 0 && missing === 0,
    `${new Set(seconds).size} ticks, ${twice ? `${twice} ran twice` : 'each ran once'}` +
      `${missing ? `, ${missing} missing` : ''} (${on(1)} on the first instance, ${on(2)} on the second)`,
  );
}

async function loss({ urls, cutSecond }, { check, logged }) {
  console.log('\n  The connection of the second instance is cut while it holds the lock "report"');
  const report = await reportOnSecond(urls, check, logged);
  const cutAt = performance.now();
  cutSecond();
  await refused(report, cutAt, check, logged);
}

/** A report on the second instance, which is asked of the first one too. @returns its request, wrapped */
export async function reportOnSecond(urls, check, logged) {
  const request = fetch(`${urls[1]}/reports`, { method: 'POST' });
  await logged('report started');
  const busy = await fetch(`${urls[0]}/reports`, { method: 'POST' });
  check(
    busy.status === 423,
    `before: the first instance gets ${busy.status}, Retry-After ${busy.headers.get('retry-after')}`,
  );
  return { request };
}

/** What becomes of the report when its lock is lost. */
export async function refused({ request }, lostAt, check, logged) {
  const seenAfter = Math.max(0, Math.round((await logged('lock lost: report')) - lostAt));
  const answer = await request;
  check(
    seenAfter < 1000 && answer.status === 503,
    `loss seen after ${seenAfter} ms, the request ended with ${answer.status}`,
  );
}
