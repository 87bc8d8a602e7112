import type { Clock, Ms } from '../../common/system.js';
import type { Engine } from '../../core/engine.js';
import type { StatsWalk } from '../../core/stats-json.js';
import { REPLY_LINE_CAP } from '../../protocol/limits.js';
import type { RequestScheduler, ScheduledWork } from './request-scheduler.js';
import { SharedText, StatsPieces } from './stats-pieces.js';

/** A session that has requested `stats` and executes nothing else until it is answered. */
export interface Asker {
  /** @param text undefined if it would be longer than clients accept */
  tell(text: SharedText | undefined): void;
}

/** Up to this many entries, a reply is built at once. */
const FEW_ENTRIES = 256;
/** A text for all askers may take this many slices of a single session. */
const SLICES = 6;
/** Bytes for the names of the lists and the number of connections. */
const FRAME = 256;

interface Making {
  readonly askers: Set<Asker>;
  readonly text: StatsPieces;
  /** Undefined until it has begun. */
  walk: StatsWalk | undefined;
}

/**
 * Builds the replies to `stats` if there are many keys: in portions, in the queue of the sessions that flood the
 * daemon, and one text for all sessions that asked before it was begun. Later ones share the next text. At most two
 * texts of the largest size are in memory, however many sessions ask and however slowly they read.
 */
export class StatsDesk implements ScheduledWork {
  private waiting = new Set<Asker>();
  private making: Making | undefined;
  private isQueued = false;
  /** Bytes of texts that are still being read. */
  private unread = 0;

  /**
   * @param connections the number that `stats` reports
   * @param failed called with the error if no reply could be built
   */
  constructor(
    private readonly engine: Engine,
    private readonly clock: Clock,
    private readonly scheduler: RequestScheduler,
    private readonly connections: () => number,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Returns the object of the reply if it is short; otherwise the asker gets it later, never during this call. */
  ask(asker: Asker, now: Ms): string | undefined {
    if (this.engine.statsSize <= FEW_ENTRIES) return this.engine.stats(this.connections(), now);
    this.waiting.add(asker);
    this.joinQueue();
    return undefined;
  }

  /** Forgets an asker whose session has ended. */
  leave(asker: Asker): void {
    this.waiting.delete(asker);
    this.making?.askers.delete(asker);
  }

  /** ScheduledWork */
  proceed(now: Ms, sliceMs: Ms): void {
    this.isQueued = false;
    const end = now + SLICES * sliceMs;
    try {
      this.makeUntil(end);
    } catch (error) {
      this.failed(error);
      this.finish(undefined);
    }
    this.joinQueue();
  }

  private makeUntil(end: Ms): void {
    if (this.making?.askers.size === 0) this.making = undefined;
    this.making ??= this.begin();
    if (!this.making) return;
    const { text } = this.making;
    const walk = (this.making.walk ??= this.engine.statsWalk(text.take));
    const isWhole = walk.proceed(this.clock.now(), () => this.clock.now() >= end);
    if (text.size + FRAME > REPLY_LINE_CAP) return this.finish(undefined);
    if (!isWhole) return;
    const { size } = text;
    this.unread += size;
    this.finish(
      new SharedText(text.line(this.connections()), () => {
        this.unread -= size;
        this.joinQueue();
      }),
    );
  }

  private begin(): Making | undefined {
    const askers = this.waiting;
    if (askers.size === 0 || this.unread > REPLY_LINE_CAP) return undefined;
    this.waiting = new Set();
    const text = new StatsPieces();
    return { askers, text, walk: undefined };
  }

  private finish(text: SharedText | undefined): void {
    const askers = this.making?.askers ?? [];
    this.making = undefined;
    // Kept open until all askers have it: otherwise the first to close it could be its last reader.
    text?.open();
    for (const asker of askers) asker.tell(text);
    text?.close();
  }

  private joinQueue(): void {
    const idle = this.making === undefined && (this.waiting.size === 0 || this.unread > REPLY_LINE_CAP);
    if (this.isQueued || idle) return;
    this.isQueued = true;
    this.scheduler.add(this);
  }
}
