/** Where libraries keep the error of the driver. */
const INNER = ['cause', 'driverError', 'original', 'originalError', 'previous', 'parent', 'meta', 'driverAdapterError'];
const CODES = ['code', 'originalCode', 'sqlState'];
/** Five characters, at least one of them a digit: EPIPE is Node's. Prisma's own codes look like it, P1000 to P6999. */
const SQL_STATE = /^(?!P[1-9]\d{3}$)(?=.*\d)[\dA-Z]{5}$/;
/** Nothing is nested deeper, unless in a circle. */
const MAX_DEPTH = 5;

/** The SQLSTATE that the server gave, wherever the library keeps it: '55P03'. Undefined if the error has none. */
export function sqlStateOf(error: unknown, depth = 0): string | undefined {
  if (typeof error !== 'object' || error === null || depth > MAX_DEPTH) return undefined;
  const fields = error as Readonly<Record<string, unknown>>;
  for (const name of CODES) {
    const code = fields[name];
    if (typeof code === 'string' && SQL_STATE.test(code)) return code;
  }
  for (const name of INNER) {
    const code = sqlStateOf(fields[name], depth + 1);
    if (code !== undefined) return code;
  }
  return undefined;
}
