import type { Ms } from '../../../common/system.js';
import type { Sample } from './exposition.js';

/** The methods that have a label of their own. All others are `OTHER`, so that clients cannot make up labels. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE'];
const OTHER = 'OTHER';

/** The path label of requests that no route answers. */
export const UNMATCHED = 'unmatched';

interface Row {
  readonly labels: { readonly method: string; readonly path: string; readonly status: number };
  count: number;
  ms: Ms;
}

const order = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0);

/** Counts answered requests by method, route and status, with their durations. */
export class RequestMetrics {
  private readonly rows = new Map<string, Map<number, Row>>();

  /**
   * Counts a request when its answer has ended.
   * @param path the template of its route, or UNMATCHED: never what the client sent
   */
  count(method: string, path: string, status: number, ms: Ms): void {
    const known = METHODS.indexOf(method);
    const key = status * (METHODS.length + 1) + known + 1;
    let rows = this.rows.get(path);
    if (!rows) this.rows.set(path, (rows = new Map<number, Row>()));
    let row = rows.get(key);
    if (!row) {
      row = { labels: { method: known < 0 ? OTHER : method, path, status }, count: 0, ms: 0 };
      rows.set(key, row);
    }
    row.count++;
    row.ms += ms;
  }

  get requests(): Sample[] {
    return this.sorted().map(({ labels, count }) => ({ labels, value: count }));
  }

  /** In seconds. */
  get durations(): Sample[] {
    return this.sorted().map(({ labels, ms }) => ({ labels, value: ms / 1000 }));
  }

  /** By path, method and status, as the original. */
  private sorted(): Row[] {
    const rows = [...this.rows.values()].flatMap((each) => [...each.values()]);
    return rows.sort(
      ({ labels: a }, { labels: b }) => order(a.path, b.path) || order(a.method, b.method) || order(a.status, b.status),
    );
  }
}
