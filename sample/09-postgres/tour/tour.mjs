// `npm start -- 09 --once`: drives both instances, and prints one line.
import { ACCOUNTS, BALANCE, openAccounts, startInstances } from './instances.mjs';

const TRANSFERS = 200;
const AT_ONCE = 40;

const WAYS = { 'in-transaction': 'lockInTransaction', 'under-lock': '@WithLock above @Transactional' };

/**
 * Returns whether all was as it should be.
 * @param {string} databaseUrl @param {{ wrong?: boolean }} options `wrong`: also with the decorators in the wrong order
 */
export async function tour(databaseUrl, { wrong = false } = {}) {
  const log = [];
  const started = performance.now();
  let instances;
  try {
    instances = await startInstances((line, instance) => log.push(`[${instance}] ${line}`), false, databaseUrl);
    const results = [];
    for (const [path, name] of Object.entries(WAYS)) results.push(await right(instances.urls, path, name));
    if (wrong) results.push(await inWrongOrder(instances.urls));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(
      `${TRANSFERS} transfers over two instances, ${results.map(({ text }) => text).join('; ')} (${seconds} s)`,
    );
    const isRight = results.every(({ isExpected }) => isExpected);
    if (!isRight) console.error(log.join('\n'));
    return isRight;
  } catch (error) {
    console.error(`${log.join('\n')}\n${error.stack}`);
    return false;
  } finally {
    await instances?.stop();
  }
}

async function right(urls, path, name) {
  const { wrong, refused } = await transfer(urls, path);
  const isExpected = wrong.length === 0 && refused.length === 0;
  const problems = [...wrong, ...refused.slice(0, 3)].join(', ');
  return { isExpected, text: `with ${name}: ${isExpected ? 'every balance is right' : `WRONG: ${problems}`}` };
}

async function inWrongOrder(urls) {
  const { wrong, sum, refused } = await transfer(urls, 'in-wrong-order');
  const before = ACCOUNTS.length * BALANCE;
  const isExpected = wrong.length > 0 && refused.length === 0;
  const text = isExpected
    ? `${before} became ${sum}: ${wrong.join(', ')}`
    : `${refused.slice(0, 3).join(', ') || 'nothing was lost this time'}`;
  return { isExpected, text: `with @Transactional above @WithLock, the wrong order: ${text}` };
}

/** Moves money to and fro, many at once, over all instances. */
async function transfer(urls, path) {
  await openAccounts(urls[0]);
  const expected = new Map(ACCOUNTS.map((id) => [id, BALANCE]));
  const requests = Array.from({ length: TRANSFERS }, (_, i) => {
    const [from, to] = [ACCOUNTS[i % ACCOUNTS.length], ACCOUNTS[(i + 1 + (i % 2)) % ACCOUNTS.length]];
    const amount = 1 + (i % 9);
    expected.set(from, expected.get(from) - amount);
    expected.set(to, expected.get(to) + amount);
    return `${urls[i % urls.length]}/transfers/${path}?from=${from}&to=${to}&amount=${amount}`;
  });
  const refused = [];
  const work = async () => {
    for (let url = requests.pop(); url !== undefined; url = requests.pop()) {
      const answer = await fetch(url, { method: 'POST' });
      if (!answer.ok) refused.push(`${answer.status} ${await answer.text()}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const accounts = await (await fetch(`${urls[0]}/accounts`)).json();
  const wrong = accounts
    .filter(({ id, balance }) => balance !== expected.get(id))
    .map(({ id, balance }) => `${id} has ${balance} instead of ${expected.get(id)}`);
  return { wrong, refused, sum: accounts.reduce((sum, { balance }) => sum + balance, 0) };
}
