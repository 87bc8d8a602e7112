import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  realpathSync,
  stat,
  statSync,
  type BigIntStats,
  write,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError } from '../../common/errors.js';
import { show } from '../../common/shown.js';
import {
  encodeRecord,
  type FoundRecord,
  JOURNAL_BYTES,
  MAX_UINT64,
  nextRecord,
  readJournal,
  RECORD_BYTES,
} from './fence-journal.js';
import { lockFile, type LockOutcome } from './file-lock.js';

const OWNER_ONLY = 0o600;

/** What a test may replace. */
export interface FenceFileHost {
  lock(descriptor: number): LockOutcome;
  write: typeof write;
  writeSync: typeof writeSync;
  fsync: typeof fsync;
}

export const FENCE_FILE_HOST: FenceFileHost = { lock: lockFile, write, writeSync, fsync };

const NOT_HIGHER =
  'Restore it from a backup, or name a file that does not exist; fences of a new file are higher than those before only if ' +
  'the clock has not been set back';

/** An open fence state file (spec 10.1), which no other process has open as one. */
export class FenceFile {
  private newest: FoundRecord;
  private size: number;
  private writing = false;
  private onIdle: (() => void) | undefined;

  private constructor(
    private readonly path: string,
    private readonly descriptor: number,
    private readonly identity: BigIntStats,
    newest: FoundRecord,
    private readonly host: FenceFileHost,
  ) {
    this.newest = newest;
    this.size = Number(identity.size);
  }

  /**
   * Opens and locks the file; creates it if there is none.
   * @throws ConfigError that names the file and the cure
   */
  static open(path: string, host: FenceFileHost = FENCE_FILE_HOST): FenceFile {
    const descriptor = openFile(path);
    try {
      const identity = fstatSync(descriptor, { bigint: true });
      if (!identity.isFile()) throw fault(path, 'it is not a regular file', 'Name a file');
      lock(path, descriptor, host);
      if (!isSame(identity, statSync(path, { bigint: true }))) {
        throw fault(path, 'it was replaced while it was opened', 'Start again');
      }
      const newest = readJournal(contentOf(descriptor), Number(identity.size));
      if (typeof newest === 'string') throw fault(path, newest, NOT_HIGHER);
      return new FenceFile(path, descriptor, identity, newest, host);
    } catch (error) {
      closeSync(descriptor);
      throw error instanceof ConfigError ? error : unusable(path, error);
    }
  }

  /** No fence above it has been issued; 0 in a new file. */
  get ceiling(): bigint {
    return this.newest.ceiling;
  }

  /** Whether a record is being written. */
  get isWriting(): boolean {
    return this.writing;
  }

  /**
   * Writes a record, and returns when it is on the disk. Must not be called while one is being written.
   * @throws Error of the system, or if the file was removed; the record before stays valid
   */
  persistNow(ceiling: bigint): void {
    const record = this.recordFor(ceiling);
    this.checkPlace(statSync(this.path, { bigint: true }));
    this.makeRoom();
    try {
      checkLength(this.host.writeSync(this.descriptor, encodeRecord(record), 0, RECORD_BYTES, offsetOf(record)));
      fsyncSync(this.descriptor);
    } catch (error) {
      this.restoreSize();
      throw error;
    }
    this.persisted(record);
  }

  /** The same without blocking; `done` gets the error. */
  persist(ceiling: bigint, done: (error: Error | undefined) => void): void {
    this.writing = true;
    const end = (error: unknown, record?: FoundRecord): void => {
      this.writing = false;
      if (record) this.persisted(record);
      this.onIdle?.();
      done(record ? undefined : (error as Error));
    };
    let record: FoundRecord;
    try {
      record = this.recordFor(ceiling);
    } catch (error) {
      return end(error);
    }
    const { descriptor, host, path } = this;
    const attempt = (failed: Error | null, next: () => void): void => {
      if (failed) return end(failed);
      try {
        next();
      } catch (error) {
        end(error);
      }
    };
    stat(path, { bigint: true }, (statError, place) =>
      attempt(statError, () => {
        this.checkPlace(place);
        this.makeRoom();
        host.write(descriptor, encodeRecord(record), 0, RECORD_BYTES, offsetOf(record), (writeError, written) =>
          attempt(writeError, () => {
            checkLength(written);
            host.fsync(descriptor, (syncError) => attempt(syncError, () => end(undefined, record)));
          }),
        );
      }),
    );
  }

  /** Makes the name of the file durable. */
  syncDirectory(): void {
    const directory = openSync(dirname(realpathSync(this.path)), 'r');
    try {
      fsyncSync(directory);
    } catch (error) {
      // Not every file system syncs directories.
      if (!['EINVAL', 'ENOTSUP'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
    } finally {
      closeSync(directory);
    }
  }

  /** Gives the lock up, as soon as nothing is being written. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      const close = (): void => {
        closeSync(this.descriptor);
        resolve();
      };
      if (this.writing) this.onIdle = close;
      else close();
    });
  }

  private recordFor(ceiling: bigint): FoundRecord {
    const record = nextRecord(this.newest, ceiling);
    if (ceiling > MAX_UINT64 || record.sequence > MAX_UINT64) throw new Error('the numbers of 64 bits are used up');
    return record;
  }

  private persisted(record: FoundRecord): void {
    this.newest = record;
    this.size = Math.max(this.size, offsetOf(record) + RECORD_BYTES);
  }

  /** A torn write must not leave a journal of an odd size. */
  private makeRoom(): void {
    if (this.size !== RECORD_BYTES) return;
    ftruncateSync(this.descriptor, JOURNAL_BYTES);
    this.size = JOURNAL_BYTES;
  }

  /** The first record of a file could not be written: the next start finds the file as it was. */
  private restoreSize(): void {
    if (this.size >= RECORD_BYTES) return;
    try {
      ftruncateSync(this.descriptor, this.size);
    } catch {
      // The disk fails. The next start refuses the file.
    }
  }

  /** A file that was removed, or replaced by another, would not be found at the next start. */
  private checkPlace(place: BigIntStats): void {
    if (!isSame(this.identity, place)) throw new Error('the file was replaced by another');
  }
}

const offsetOf = ({ slot }: FoundRecord): number => slot * RECORD_BYTES;

const isSame = (one: BigIntStats, other: BigIntStats): boolean => one.ino === other.ino && one.dev === other.dev;

function checkLength(written: number): void {
  if (written !== RECORD_BYTES) throw new Error(`only ${written} of ${RECORD_BYTES} bytes were written`);
}

function openFile(path: string): number {
  try {
    // Without O_NONBLOCK, opening a device or a pipe could wait.
    const { O_RDWR, O_CREAT, O_NONBLOCK = 0 } = constants;
    return openSync(path, O_RDWR | O_CREAT | O_NONBLOCK, OWNER_ONLY);
  } catch (error) {
    throw unusable(path, error);
  }
}

function lock(path: string, descriptor: number, host: FenceFileHost): void {
  const outcome = host.lock(descriptor);
  if (outcome === 'busy') {
    throw fault(path, 'another daemon uses it', 'Give each daemon a file of its own, or stop the other one');
  }
  const impossible = outcome === 'locked' ? missingLock(path, host) : outcome.impossible;
  if (impossible === undefined) return;
  const cure = 'Install flock (util-linux) or perl, and keep the file on a local file system; or do without the file';
  throw fault(path, `it cannot be locked, and two daemons could issue the same fences (${impossible})`, cure);
}

/** Tries to lock the file again, which must fail. */
function missingLock(path: string, host: FenceFileHost): string | undefined {
  const other = openSync(path, 'r+');
  try {
    const outcome = host.lock(other);
    if (outcome === 'busy') return undefined;
    return outcome === 'locked' ? 'its file system grants the lock twice' : outcome.impossible;
  } finally {
    closeSync(other);
  }
}

function contentOf(descriptor: number): Buffer {
  const content = Buffer.alloc(JOURNAL_BYTES);
  return content.subarray(0, readSync(descriptor, content, 0, JOURNAL_BYTES, 0));
}

const fault = (path: string, why: string, cure: string): ConfigError =>
  new ConfigError(`fence state file ${show(path)}: ${why}. ${cure}`);

/** @internal */
export function unusable(path: string, error: unknown): ConfigError {
  const { message } = error as Error;
  const cure = 'Name a file that this process may read and write, in a directory that exists, on a disk with room';
  return new ConfigError(`fence state file ${show(path)}: ${message}. ${cure}`, { cause: error });
}
