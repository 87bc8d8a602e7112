import { ConfigError } from '../../../common/errors.js';
import { differences, ESSENTIAL, isOptional, type Settings, TRANSACTION_TIMEOUT } from './settings.js';
import { sqlStateOf } from './sql-errors.js';
import type { Looked } from './start-probe.js';

const SET = 'select set_config(n, v, false) from unnest($1::text[], $2::text[]) as s(n, v)';
const READ = 'select name, setting from pg_settings where name = any($1::text[])';

/**
 * Makes the settings of a session what they must be, where the startup message could not.
 * @param isDropped the startup message had none of them, or may have lost them
 * @param unsupported gets the optional ones that the server does not have
 * @throws ConfigError if they do not stay
 */
export async function applySettings(
  { session, look }: Looked,
  wanted: Settings,
  isDropped: boolean,
  unsupported: Set<string>,
): Promise<void> {
  const missing = differences(wanted, look.settings, look.versionNumber);
  const names = Object.keys(missing);
  if (names.length === 0 && !isDropped) return;
  const isOnlyTransaction = !isDropped && names.every((name) => name === TRANSACTION_TIMEOUT);
  let all: Settings = isOnlyTransaction ? missing : { ...wanted, ...missing };
  for (;;) {
    try {
      await session.ask(SET, [Object.keys(all), Object.values(all)]);
      break;
    } catch (error) {
      const [, name] = /parameter "(\w+)"/.exec(String((error as Error).message)) ?? [];
      if (sqlStateOf(error) === undefined || name === undefined || !isOptional(name) || !(name in all)) throw error;
      unsupported.add(name);
      all = Object.fromEntries(Object.entries(all).filter(([one]) => one !== name));
    }
  }
  const rows = await session.ask(READ, [[...ESSENTIAL, TRANSACTION_TIMEOUT]]);
  const left = differences(wanted, Object.fromEntries(rows) as Settings, look.versionNumber);
  const [name] = Object.keys(left);
  if (name === undefined) return;
  throw new ConfigError(
    `the server at ${session.server} does not keep the setting ${name}, without which locks are not safe; something between ` +
      'the two resets it',
    { server: session.server },
  );
}
