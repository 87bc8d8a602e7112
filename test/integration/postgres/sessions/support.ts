import { inspect } from 'node:util';
import { afterEach, expect } from '@jest/globals';
import { Dialer } from '../../../../lib/backends/postgres/sessions/dialer.js';
import type { Session, SessionSettings, TextRow } from '../../../../lib/backends/postgres/sessions/session.js';
import { recogniseSource } from '../../../../lib/backends/postgres/sessions/source.js';
import { ShuttingDownError } from '../../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../../lib/common/system.js';

export const T = 2000;

/** Makes dialers, and ends their sessions after each test. */
export function dialers(): (source: unknown, settings?: Partial<SessionSettings>) => TestDialer {
  const made: TestDialer[] = [];
  afterEach(() => {
    for (const dialer of made.splice(0)) dialer.close();
  });
  return (source, settings) => {
    const dialer = new TestDialer(
      recogniseSource(source),
      { sessionTimeoutMs: T, connectTimeoutMs: 5000, ...settings },
      {
        clock: systemClock,
        entropy: systemEntropy,
      },
    );
    made.push(dialer);
    return dialer;
  };
}

class TestDialer extends Dialer {
  readonly made: Session[] = [];

  override async start(): ReturnType<Dialer['start']> {
    const started = await super.start();
    this.made.push(started.command, ...(started.wait ? [started.wait] : []));
    return started;
  }

  override async connect(kind: Session['kind']): Promise<Session> {
    const session = await super.connect(kind);
    this.made.push(session);
    return session;
  }

  override close(error = new ShuttingDownError()): void {
    super.close(error);
    for (const session of this.made) session.end(error);
  }
}

export const ask = (session: Session, text: string, waits = false): Promise<readonly TextRow[]> =>
  new Promise((answered, failed) => {
    session.send({ name: '', text, values: [], waits, sentAt: 0, answered, failed, ended: failed });
  });

/** The only value of the only row. */
export const valueOf = async (session: Session, text: string, waits = false): Promise<string | null> =>
  (await ask(session, text, waits))[0]![0]!;

/** Connections that keep the process alive. */
export const heldSockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => /^(TCPSocketWrap|TLSWrap)$/.test(name)).length;

export const failure = async (
  promise: Promise<unknown>,
): Promise<Error & { isTransient?: boolean; cause?: unknown }> => {
  try {
    await promise;
  } catch (error) {
    // What the passwords of these tests begin with.
    expect(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)).not.toContain('hunter');
    return error as Error;
  }
  throw new Error('it did not fail');
};
