import { CONTESTANTS, type Contestant } from './holders/holder.js';
import type { RedisRow } from './outcome.js';
import { writeRedisTable } from './page.js';
import { redisRow, ROWS } from './rows.js';

export interface RedisLabOptions {
  /** Locks of each package in each row. */
  readonly locks: number;
  /** Only the row of that name; '' for all. */
  readonly only: string;
  readonly contestants?: readonly string[] | undefined;
  readonly write: boolean;
}

/** Rows that are measured at the same time, where it is only asked whether promises are kept: they mostly wait. */
const TOGETHER = 3;

/** Runs the table of faults on Redis; resolves with whether every promise was kept. */
export async function runRedisLab({ locks, only, contestants, write }: RedisLabOptions): Promise<boolean> {
  const wanted = CONTESTANTS.filter((one) => contestants?.includes(one) ?? true);
  const names = ROWS.filter((name) => only === '' || name === only);
  if (names.length === 0)
    throw new Error(`--table must be one of ${ROWS.join(', ')} with --backend redis, got "${only}"`);
  const rows: RedisRow[] = [];
  const left = [...names];
  const measure = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const row = await redisRow(name, locks, wanted);
      rows.push(row);
      print(row);
    }
  };
  await Promise.all(Array.from({ length: write ? 1 : TOGETHER }, measure));
  const broken = rows.filter(({ violations }) => violations.length > 0);
  const kinds = broken.map(({ name, violations }) => `${name}: ${violations.length}`).join(', ');
  console.log(
    `\n${rows.length} rows, ${locks} locks of each package: ${kinds === '' ? 'no violation' : `violations (${kinds})`}`,
  );
  if (write) await writeRedisTable(rows);
  return broken.length === 0;
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
