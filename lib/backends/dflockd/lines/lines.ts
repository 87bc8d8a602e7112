import type { LockError } from '../../../common/errors.js';
import { Line, type LineKeeper } from './line.js';
import type { LinePool } from './line-pool.js';
import type { Resource } from './caller.js';
import type { LineState } from './line-state.js';

const nameOf = ({ kind, limit, key }: Resource): string => `${kind} ${limit} ${key}`;

/** All lines to one server. */
export class Lines implements LineKeeper {
  private readonly byName = new Map<string, Line>();
  /** Lines that poll for want of a lane; the one that has done so for longest first. */
  private readonly starving = new Set<Line>();

  constructor(
    private readonly pool: LinePool,
    private readonly degraded: (detail: string) => void,
  ) {}

  get size(): number {
    return this.byName.size;
  }

  get polling(): number {
    return this.starving.size;
  }

  /** While there is one, nobody tries past it. */
  find(resource: Resource): Line | undefined {
    return this.byName.size > 0 ? this.byName.get(nameOf(resource)) : undefined;
  }

  /** @param state of a line that has to be made */
  findOrMake(resource: Resource, state: 'trying' | 'pausing' = 'pausing'): Line {
    const name = nameOf(resource);
    let line = this.byName.get(name);
    if (!line) {
      line = new Line(resource, this.pool, this, state);
      this.byName.set(name, line);
    }
    return line;
  }

  /** There may be a lane: those who have waited for longest come first. */
  spare(): void {
    for (const line of [...this.starving]) {
      line.retry();
      if (line.state === 'polling') return;
    }
  }

  /** The server is there again. */
  resume(): void {
    for (const line of [...this.byName.values()]) line.resume();
  }

  /** Sends all callers away. */
  fail(error: LockError): void {
    for (const line of [...this.byName.values()]) line.fail(error);
  }

  /** LineKeeper */
  changed(line: Line, from: LineState): void {
    if (from === 'polling') this.starving.delete(line);
    if (line.state === 'over') this.byName.delete(nameOf(line.resource));
    if (line.state !== 'polling') return;
    this.starving.add(line);
    // A shortage on the other side has been told.
    if (this.starving.size > 1 || this.pool.shortage !== undefined) return;
    const { maxWaitLanes } = this.pool.config;
    this.degraded(
      `all ${maxWaitLanes} wait lanes are in use: who waits for a further key asks again and again (option remote.maxWaitLanes)`,
    );
  }
}
