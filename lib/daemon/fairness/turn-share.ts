import type { Clock, Ms } from '../../common/system.js';
import type { Backlog } from '../../core/driver.js';
import { Hearing, type WaitingWork } from './hearing.js';

/** The share of a turn, if no client of the line protocol was served lately, and if one was. */
const ALONE_MS: Ms = 2;
const BESIDE_OTHERS_MS: Ms = 0.5;
/** What "lately" means. */
const LATELY_MS: Ms = 50;
/** Waiting work is done in so many parts of a turn, each of which begins nothing once it has lasted `PART_MS`. */
const PARTS = 8;
const PART_MS: Ms = 0.15;
/** So many answers take about as long as a part. */
const FEW = 8;

/** Something that waits for its share of a turn. */
export interface SharedWork {
  /** Does a little, and waits again if there is more. */
  proceed(): void;
}

/**
 * What all HTTP connections together may take of each turn of the event loop. The time counts that is really spent: Node
 * writes the answers to pipelined requests only when the code that gave them has returned.
 */
export class TurnShare implements Backlog, WaitingWork {
  /** A number of the current turn. */
  turn = 0;
  private readonly light: SharedWork[] = [];
  private readonly heavy: SharedWork[] = [];
  private isLightNext = true;
  private spentMs: Ms = 0;
  private shareMs: Ms = BESIDE_OTHERS_MS;
  private isTurning = false;
  /** When something began that is being done, and whose time has not been counted yet. */
  private doingSince: Ms | undefined = undefined;
  private partsLeft = 0;
  /** When the last part began that did something. */
  private partBegan: Ms | undefined = undefined;
  private othersBefore = 0;
  private othersAt: Ms = -Infinity;
  private readonly hearing: Hearing;

  /** @param others a number that grows whenever a client of the line protocol is served */
  constructor(
    private readonly clock: Clock,
    private readonly others: () => number,
  ) {
    this.hearing = new Hearing(clock, this);
  }

  get hasTime(): boolean {
    const doingMs = this.doingSince === undefined ? 0 : this.clock.now() - this.doingSince;
    return this.spentMs + doingMs < this.shareMs;
  }

  /** Whether work that arrives now need not wait. */
  get isFree(): boolean {
    return this.isEmpty && this.hasTime;
  }

  /** WaitingWork */
  get isEmpty(): boolean {
    return this.light.length === 0 && this.heavy.length === 0;
  }

  /** WaitingWork */
  afterAll(done: () => void): void {
    let left = 2;
    const mark: SharedWork = { proceed: () => void (--left === 0 && done()) };
    this.wait(mark, true);
    this.wait(mark, false);
  }

  /** Backlog */
  whenHeard(heard: () => void): void {
    this.hearing.whenHeard(heard);
  }

  /** Does something now, whose time counts. */
  do(work: () => void): void {
    this.awaitTurn();
    if (this.doingSince !== undefined) return work();
    const began = (this.doingSince = this.clock.now());
    try {
      work();
    } finally {
      this.doingSince = undefined;
      this.spentMs += this.clock.now() - began;
    }
  }

  /** @param isLight whether it is done with this: it takes turns with all the work that is not, however much that is */
  wait(work: SharedWork, isLight: boolean): void {
    (isLight ? this.light : this.heavy).push(work);
    this.awaitTurn();
    this.awaitParts();
  }

  /** Does something for each of many, a few at a time. */
  each<T>(all: readonly T[], work: (one: T) => void): void {
    let next = 0;
    const portion: SharedWork = {
      proceed: () => {
        for (const end = Math.min(next + FEW, all.length); next < end;) work(all[next++]!);
        if (next < all.length) this.wait(portion, false);
      },
    };
    if (all.length <= FEW && (this.isFree || this.doingSince !== undefined)) this.do(() => portion.proceed());
    else this.wait(portion, true);
  }

  private awaitTurn(): void {
    if (this.isTurning) return;
    this.isTurning = true;
    this.clock.endOfTurn(this.begin);
  }

  /** They follow one another immediately: what Node does in between belongs to them. */
  private awaitParts(): void {
    if (this.partsLeft > 0) return;
    this.partsLeft = PARTS;
    for (let i = 0; i < PARTS; i++) this.clock.endOfTurn(this.part);
  }

  private readonly begin = (): void => {
    const now = this.clock.now();
    const served = this.others();
    if (served !== this.othersBefore) this.othersAt = now;
    this.othersBefore = served;
    this.shareMs = now - this.othersAt < LATELY_MS ? BESIDE_OTHERS_MS : ALONE_MS;
    this.spentMs = 0;
    this.turn++;
    this.isTurning = false;
  };

  private readonly part = (): void => {
    const { clock } = this;
    const began = clock.now();
    if (this.partBegan !== undefined) this.spentMs += began - this.partBegan;
    this.partBegan = undefined;
    this.partsLeft--;
    if (this.partsLeft > 0 && this.hasTime) this.proceed(began);
    if (this.partsLeft > 0 || this.isEmpty) return;
    this.awaitTurn();
    this.awaitParts();
  };

  private proceed(began: Ms): void {
    const { clock } = this;
    this.doingSince = began;
    try {
      for (let left = this.light.length + this.heavy.length; left > 0; left--) {
        this.partBegan = began;
        this.shift()!.proceed();
        if (clock.now() - began >= PART_MS) break;
      }
    } finally {
      this.doingSince = undefined;
    }
  }

  private shift(): SharedWork | undefined {
    this.isLightNext = !this.isLightNext;
    return this.isLightNext ? (this.light.shift() ?? this.heavy.shift()) : (this.heavy.shift() ?? this.light.shift());
  }
}
