// Starts the two instances of the sample as processes, and ends them.
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { freePort, Processes } from '../../01-quick-start/tour/processes.mjs';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

/** Of whom the sample knows, with what each has at first. */
export const ACCOUNTS = ['anna', 'ben', 'cleo'];
export const BALANCE = 1000;

/**
 * Both instances, ready.
 * @param {(line: string, instance: number) => void} onLine gets what they log
 * @param {boolean} usualPorts 3000 and 3001 where they are free
 * @param {string} databaseUrl
 */
export async function startInstances(onLine, usualPorts, databaseUrl) {
  const usual = (port) => freePort(usualPorts ? port : 0);
  const processes = new Processes(main, onLine);
  const stop = async () => {
    await processes.stop();
    await dropTable(databaseUrl);
  };
  try {
    // One after the other: TypeORM creates the table, and two at once would collide.
    await processes.start(await usual(3000), { DATABASE_URL: databaseUrl });
    await processes.start(await usual(3001), { DATABASE_URL: databaseUrl });
    await openAccounts(processes.urls[0]);
  } catch (error) {
    await stop();
    throw error;
  }
  const { urls, ended } = processes;
  return { where: 'one Postgres', urls, ended, stop };
}

/** Gives every account its first balance. */
export async function openAccounts(url) {
  for (const id of ACCOUNTS) await fetch(`${url}/accounts/${id}?balance=${BALANCE}`, { method: 'PUT' });
}

/** What to try. */
export function hints({ urls: [first, second] }) {
  const transfers = (how) =>
    `seq 50 | xargs -P25 -I_ curl -s -X POST '${first}/transfers/${how}?from=anna&to=ben&amount=10' '${second}/transfers/${how}?from=ben&to=anna&amount=10'`;
  return `
    # 50 transfers in each direction, over both; in the end everybody has what they had before
    ${transfers('in-transaction')}; curl ${first}/accounts
    ${transfers('under-lock')}; curl ${second}/accounts

    # the decorators in the wrong order: money disappears, or comes from nowhere
    ${transfers('in-wrong-order')}; curl ${first}/accounts`;
}

async function dropTable(connectionString) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query('drop table if exists sample_09_account');
  await client.end();
}
