import { CommandConnection } from '../../../../lib/backends/postgres/commands/command-connection.js';
import type { WaitSession, WaitSessions } from '../../../../lib/backends/postgres/commands/wait-sessions.js';
import { WaitConnections } from '../../../../lib/backends/postgres/commands/wait-connections.js';
import type { AdvisoryId } from '../../../../lib/backends/postgres/ids/lock-id.js';
import { Dialer } from '../../../../lib/backends/postgres/sessions/dialer.js';
import type { Session, TextRow } from '../../../../lib/backends/postgres/sessions/session.js';
import { recogniseSource } from '../../../../lib/backends/postgres/sessions/source.js';
import type { Released } from '../../../../lib/backends/backend.js';
import { LockUnavailableError, ShuttingDownError } from '../../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../../lib/common/system.js';

const SETTINGS = { connectTimeoutMs: 5000, minDelayMs: 50, maxDelayMs: 5000 };

export interface Got {
  readonly session: Session;
  readonly fence: bigint;
}

/** The connections of one process to a server, with promises instead of callbacks. */
export class Connections {
  readonly events: string[] = [];

  private constructor(
    readonly commands: CommandConnection,
    readonly waits: WaitSessions,
  ) {
    commands.onDegraded((detail) => this.events.push(detail));
    waits.onDegraded((detail) => this.events.push(detail));
  }

  static async to(
    url: string,
    { sessionTimeoutMs = 10_000, requestTimeoutMs = 5000, maxWaitConnections = 5, idleCloseMs = 0 } = {},
  ): Promise<Connections> {
    const host = { clock: systemClock, entropy: systemEntropy };
    const settings = { ...SETTINGS, sessionTimeoutMs, requestTimeoutMs, maxWaitConnections, idleCloseMs };
    const dialer = new Dialer(recogniseSource(url), settings, host);
    const commands = new CommandConnection(dialer, host, settings);
    const connections = new Connections(commands, new WaitConnections(dialer, commands, systemClock, settings));
    await commands.start();
    return connections;
  }

  /** False: refused. Fails with what the try failed with. */
  try(id: AdvisoryId): Promise<Got | false> {
    return new Promise((resolve, reject) => {
      this.commands.try({
        id,
        isDropped: false,
        granted: (session, fence) => resolve({ session, fence }),
        refused: () => resolve(false),
        dropped: nothing,
        overdue: reject,
        failed: reject,
      });
    });
  }

  unlock(id: AdvisoryId): Promise<Released> {
    return new Promise((done) => this.commands.unlock(this.commands.session!, { id, over: nothing, done }));
  }

  trySlot(gate: bigint, limit: number, isHead = false): Promise<bigint | false> {
    return new Promise((resolve, reject) => {
      this.commands.trySlot({
        gate,
        candidates: Array.from({ length: limit }, (_, i) => gate + BigInt(i + 1)),
        isHead,
        isDropped: false,
        granted: (_, slot) => resolve(slot),
        refused: () => resolve(false),
        dropped: nothing,
        overdue: reject,
        failed: reject,
      });
    });
  }

  freeSlot(gate: bigint, slot: bigint): Promise<Released> {
    const { commands } = this;
    const channel = channelOf(gate);
    return new Promise((done) => commands.freeSlot(commands.session!, { slot, gate, channel, over: nothing, done }));
  }

  take(): Promise<WaitSession | undefined> {
    return new Promise((resolve, reject) => {
      this.waits.take((session, error) => (error ? reject(error) : resolve(session)));
    });
  }

  async close(): Promise<void> {
    this.waits.close(new ShuttingDownError());
    await this.commands.close(1000);
  }
}

const nothing = (): void => undefined;

export const channelOf = (gate: bigint): string => `dfl${BigInt.asUintN(64, gate).toString(16)}`;

/** Resolves with the fence. */
export const lock = (wait: WaitSession, id: AdvisoryId): Promise<bigint> =>
  new Promise((granted, failed) => wait.lock(id, { granted, failed }));

export const unlockAndLock = (wait: WaitSession, id: AdvisoryId): Promise<bigint> =>
  new Promise((granted, failed) => wait.unlockAndLock(id, { granted, failed }));

export const unlock = (wait: WaitSession, id: AdvisoryId): Promise<Released> =>
  new Promise((done) => wait.unlock(id, done));

export const cancel = (wait: WaitSession): Promise<void> => new Promise((done) => wait.cancel(done));

/** A statement on a session itself. */
export const ask = (session: Session, text: string, values: readonly unknown[] = []): Promise<readonly TextRow[]> =>
  new Promise((answered, rejected) => {
    session.send({ name: '', text, values, sentAt: NaN, answered, failed: rejected, ended: rejected });
  });

export const reset = (): LockUnavailableError => new LockUnavailableError('reset by the test');
