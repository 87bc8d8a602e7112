/** What people may give instead of a source, and what they can give. In the order in which they are tried. */
const REFUSED: readonly { readonly names: readonly string[]; readonly hint: string }[] = [
  { names: ['then'], hint: '; await it first' },
  { names: ['href', 'searchParams'], hint: '; give its href' },
  {
    names: ['$queryRawUnsafe'],
    hint: ' of Prisma, whose connections cannot be used; give the connection string that Prisma has (DIRECT_URL, if there is one)',
  },
  {
    names: ['dumpDataDir'],
    hint: ' (PGlite), which has a single session for everybody; use embedded: true, without a backend: the locks are then in this process',
  },
  {
    names: ['unsafe', 'begin'],
    hint: ' of postgres.js, which reconnects unnoticed and then has lost its locks; install pg and give the connection string',
  },
  {
    names: ['connect', 'query', 'connectionParameters'],
    hint: ', a single connection; give its configuration or a Pool',
  },
  {
    names: ['createQueryRunner', 'getRepository'],
    hint: ' of TypeORM; give the connection string, or its Pool: dataSource.driver.master',
  },
  { names: ['transaction', 'raw', 'client'], hint: ' of Knex; give what `connection` is in its configuration' },
  { names: ['selectFrom', 'transaction'], hint: ' of Kysely; give the Pool of its dialect' },
  { names: ['$client', 'transaction'], hint: ' of Drizzle; give its Pool: db.$client' },
  { names: ['$pool', '$cn'], hint: ' of pg-promise; give its Pool: db.$pool' },
  { names: ['getConnection', 'transactional'], hint: ' of MikroORM; give the connection string' },
];

/** The end of a message that says what to give instead; undefined for what is not recognised. */
export function refusedHint(source: unknown): string | undefined {
  if ((typeof source !== 'object' && typeof source !== 'function') || source === null) return undefined;
  return REFUSED.find(({ names }) => names.every((name) => has(source, name)))?.hint;
}

/** Objects of users may be proxies that throw. */
function has(source: object, name: string): boolean {
  try {
    return Reflect.get(source, name) !== undefined;
  } catch {
    return false;
  }
}
