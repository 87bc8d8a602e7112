import type { PostgresRow } from './outcome.js';
import { writePostgresTable } from './page.js';
import { postgresRow, ROWS } from './rows.js';

export interface PostgresLabOptions {
  /** In each row. */
  readonly locks: number;
  /** Only the row of that name; '' for all. */
  readonly only: string;
  readonly write: boolean;
}

/** Rows that are measured at the same time: they mostly wait. */
const TOGETHER = 3;
const SHOWN = 5;

/** Runs the table of faults on Postgres; resolves with whether every promise was kept. */
export async function runPostgresLab({ locks, only, write }: PostgresLabOptions): Promise<boolean> {
  const names = ROWS.filter((name) => only === '' || name === only);
  if (names.length === 0) {
    throw new Error(`--table must be one of ${ROWS.join(', ')} with --backend postgres, got "${only}"`);
  }
  const rows = new Map<string, PostgresRow>();
  const left = [...names];
  const measure = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const row = await postgresRow(name, locks);
      rows.set(name, row);
      print(row);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, measure));
  const broken = [...rows.values()].filter(({ violations }) => violations.length > 0);
  const kinds = broken.map(({ name, violations }) => `${name}: ${violations.length}`).join(', ');
  console.log(`\n${rows.size} rows, ${locks} locks: ${kinds === '' ? 'no violation' : `violations (${kinds})`}`);
  if (write) await writePostgresTable(names.map((name) => rows.get(name)!));
  return broken.length === 0;
}

function print({ fault, promise, told, rival, lead, violations }: PostgresRow): void {
  console.log(`${fault} (${promise})\n  told ${told}; rival in ${rival}; ${lead}`);
  for (const text of violations.slice(0, SHOWN)) console.log(`  VIOLATION ${text}`);
  if (violations.length > SHOWN) console.log(`  … and ${violations.length - SHOWN} more`);
}
