import { CONTESTANTS, type Contestant } from './holders/holder.js';
import type { RedisRow } from './outcome.js';
import { writeRedisTable } from './page.js';
import { redisRows } from './rows.js';

export interface RedisLabOptions {
  /** Locks of each package in each row. */
  readonly locks: number;
  /** Only the row of that name; '' for all. */
  readonly only: string;
  readonly contestants?: readonly string[] | undefined;
  readonly write: boolean;
}

/** Runs the table of faults on Redis; resolves with whether every promise was kept. */
export async function runRedisLab({ locks, only, contestants, write }: RedisLabOptions): Promise<boolean> {
  const wanted = CONTESTANTS.filter((one) => contestants?.includes(one) ?? true);
  const rows: RedisRow[] = [];
  for await (const row of redisRows(locks, only, wanted)) {
    rows.push(row);
    print(row);
  }
  const violations = rows.flatMap((row) => row.violations).length;
  console.log(`\n${rows.length} rows, ${locks} locks of each package: ${violations} violations`);
  if (write) await writeRedisTable(rows);
  return violations === 0;
}

const NAMES: Readonly<Record<Contestant, string>> = {
  ours: 'this package',
  watch: 'with `watch`',
  'redis-semaphore': 'redis-semaphore',
  redlock: '@sesamecare-oss/redlock',
};
const SHOWN = 5;

function print({ fault, promise, cells, violations }: RedisRow): void {
  console.log(`${fault} (${promise})`);
  for (const [contestant, cell] of cells) console.log(`  ${NAMES[contestant]}: ${cell}`);
  for (const text of violations.slice(0, SHOWN)) console.log(`  VIOLATION ${text}`);
  if (violations.length > SHOWN) console.log(`  … and ${violations.length - SHOWN} more`);
}
