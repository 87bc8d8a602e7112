import { resolve } from 'node:path';
import { ConfigError } from '../../common/errors.js';
import type { Clock, Ms, Timer } from '../../common/system.js';
import { fenceSeed, type FenceRange, type FenceSource } from '../../core/tokens.js';
import type { DaemonLogger } from '../shared/logger.js';
import { FENCE_FILE_HOST, FenceFile, type FenceFileHost, unusable } from './fence-file.js';
import { MAX_UINT64 } from './fence-journal.js';

/** How many fences a record reserves. */
const RESERVED = 2n ** 20n;
/** With so many left, the next ones are reserved. */
const LOW = RESERVED / 2n;
const RETRY_MS: Ms = 1000;

/**
 * Fences that are higher than all that any daemon has issued from the same file (spec 10.1), wherever the wall clock
 * stands. The file names a ceiling; fences up to it may be issued without writing. The next ceiling is written in the
 * background when half of them are left. If it cannot be written, grants are refused once none is left.
 *
 * `open` takes the file; without it, the first grant does.
 */
export class StoredFences implements FenceSource {
  private readonly path: string;
  private file: FenceFile | undefined;
  /** Fences up to here may have been issued by a daemon before. */
  private floor = 0n;
  /** On the disk: fences up to here may be issued. */
  private ceiling = 0n;
  private isReserving = false;
  private retry: Timer | undefined;
  private isRefusing = false;
  private closed = false;

  constructor(
    path: string,
    private readonly clock: Clock,
    private readonly log: DaemonLogger,
    private readonly host: FenceFileHost = FENCE_FILE_HOST,
  ) {
    // The program may change its working directory.
    this.path = resolve(path);
  }

  /**
   * Opens the file, and reserves the first fences.
   * @throws ConfigError that names the file and the cure
   */
  open(): void {
    if (!this.file) this.openAfter(this.ceiling);
  }

  /** FenceSource */
  take(last: bigint): FenceRange | undefined {
    if (this.closed || (!this.file && !this.openNow(last))) return this.refused();
    const after = last > this.floor ? last : this.floor;
    let left = this.ceiling - after;
    if (left > LOW) return { after, count: Number(left - LOW) };
    if (left <= 0n) {
      // It is still being written, or cannot be written now: the disk decides when grants go on, and nothing waits for it.
      if (this.isWaiting || !this.reserveNow(after)) return this.refused();
      left = this.ceiling - after - LOW;
    } else {
      this.reserveSoon();
    }
    return { after, count: Number(left) };
  }

  /** Lets other daemons use the file. */
  async release(): Promise<void> {
    const { file } = this;
    this.file = undefined;
    this.isReserving = false;
    this.stopRetrying();
    await file?.close();
  }

  /** No fence is issued any more. */
  close(): Promise<void> {
    this.closed = true;
    return this.release();
  }

  private get isWaiting(): boolean {
    return this.file!.isWriting || this.retry !== undefined;
  }

  private openNow(last: bigint, isRetry = false): boolean {
    if (this.retry && !isRetry) return false;
    try {
      this.openAfter(last);
      return true;
    } catch (error) {
      this.failed(error as Error);
      return false;
    }
  }

  /** @param last the highest fence that this process may have issued */
  private openAfter(last: bigint): void {
    const file = FenceFile.open(this.path, this.host);
    try {
      const floor = [file.ceiling, fenceSeed(this.clock.wall()), last].reduce((a, b) => (a > b ? a : b));
      if (floor + RESERVED > MAX_UINT64) throw new Error('its fences are used up');
      file.persistNow(floor + RESERVED);
      file.syncDirectory();
      this.file = file;
      this.floor = floor;
      this.ceiling = file.ceiling;
    } catch (error) {
      void file.close();
      throw error instanceof ConfigError ? error : unusable(this.path, error);
    }
    this.succeeded();
  }

  /** At the end of the turn: a program that never ends its turn would not learn that it has been written. */
  private reserveSoon(): void {
    if (this.isReserving || this.isWaiting) return;
    this.isReserving = true;
    this.clock.endOfTurn(() => this.reserve());
  }

  private reserve(): void {
    const { file } = this;
    if (!file || file.isWriting) return;
    file.persist(this.ceiling + LOW, (error) => {
      if (this.file !== file) return;
      this.isReserving = false;
      if (error) return this.failed(error);
      this.ceiling = file.ceiling;
      this.succeeded();
    });
  }

  private reserveNow(last: bigint): boolean {
    const file = this.file!;
    try {
      file.persistNow(last + RESERVED);
    } catch (error) {
      this.failed(error as Error);
      return false;
    }
    this.ceiling = file.ceiling;
    this.succeeded();
    return true;
  }

  private failed(error: Error): void {
    if (!this.retry) this.log('error', 'cannot write the fence state file', { file: this.path, err: error.message });
    else this.clock.clearTimer(this.retry);
    this.retry = this.clock.setTimer(() => this.tryAgain(), RETRY_MS);
  }

  private tryAgain(): void {
    if (this.file) this.reserve();
    else this.openNow(this.ceiling, true);
  }

  private succeeded(): void {
    const wasInTrouble = this.retry !== undefined || this.isRefusing;
    this.stopRetrying();
    if (wasInTrouble) this.log('info', 'the fence state file is written again', { file: this.path });
  }

  private stopRetrying(): void {
    if (this.retry) this.clock.clearTimer(this.retry);
    this.retry = undefined;
    this.isRefusing = false;
  }

  private refused(): undefined {
    if (this.isRefusing || this.closed) return;
    this.isRefusing = true;
    this.log('error', 'no fences left: nothing is granted until the fence state file can be written', {
      file: this.path,
    });
  }
}
