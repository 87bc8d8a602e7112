import { setTimeout as pause } from 'node:timers/promises';
import type { LockClient, LockHandle } from '../../../lib/entries/client.js';
import { LockLostError } from '../../../lib/entries/client.js';
import type { LogWriter } from '../log/writer.js';
import { fromMillis, nanos } from '../log/time.js';
import type { Random } from '../plan/random.js';
import type { WorkerPlan } from '../plan/scenario.js';
import { fenceAndMore, Holdings, tokenFence } from './holdings.js';

/** What a try may take that finds no connection: one to be made, and one answer. */
export const CONNECT_TIMEOUT_MS = 800;
export const REQUEST_TIMEOUT_MS = 500;

type Want = { readonly key: string | readonly string[]; readonly limit?: number };

/** A client of the lab with its callers, who take locks in all ways there are. */
export class Callers {
  readonly holdings: Holdings;
  private calls = 0;
  private stopping = false;
  /** Elsewhere the start of a client asks for several things, which together take as long as one request may. */
  private startMs: number;

  constructor(
    private readonly client: LockClient,
    private readonly index: number,
    private readonly plan: WorkerPlan,
    private readonly log: LogWriter,
  ) {
    this.holdings = new Holdings(client, log, plan.backend === 'postgres' ? fenceAndMore(index) : tokenFence);
    this.startMs = plan.backend ? REQUEST_TIMEOUT_MS : 0;
  }

  stop(): void {
    this.stopping = true;
  }

  /** Resolves once it has been stopped and everything it had begun has ended. */
  async run(random: Random): Promise<void> {
    while (!this.stopping) {
      const draw = random.unit();
      const want = this.draw(random);
      const options = {
        leaseTtlS: random.pick(this.plan.leasesS),
        ...(want.limit ? { limit: want.limit } : undefined),
      };
      const waitS = random.pick(this.plan.waitsS);
      const holdMs = drawHold(random);
      try {
        if (draw < 0.12) await this.tries(want, options, holdMs);
        else if (draw < 0.2) await this.runsUnder(want, { ...options, acquireTimeoutS: waitS }, holdMs);
        else if (draw < 0.24) await this.queues(want, { ...options, acquireTimeoutS: waitS }, holdMs, random);
        else if (draw < 0.28) await this.givesUp(want, { ...options, acquireTimeoutS: waitS }, random.int(0, 60));
        else await this.acquires(want, { ...options, acquireTimeoutS: waitS }, holdMs);
      } catch (error) {
        this.log.add('!', nanos(), `unexpected: ${String((error as Error).stack).replaceAll('\n', ' ')}`);
      }
      await pause(random.int(0, 8));
    }
  }

  private draw(random: Random): Want {
    const { locks, limits, hotKeys = 8, hotShare = 0.08 } = this.plan;
    if (limits.length > 0 && random.chance(0.15)) {
      const i = random.int(0, limits.length - 1);
      return { key: `s${i}`, limit: limits[i]! };
    }
    // Some want one of few keys.
    const key = (): string => `k${random.chance(hotShare) ? random.int(0, hotKeys - 1) : random.int(0, locks - 1)}`;
    if (!random.chance(0.05)) return { key: key() };
    return { key: [...new Set([key(), key()])] };
  }

  private async acquires(want: Want, options: { acquireTimeoutS: number }, holdMs: number): Promise<void> {
    const call = this.invoke(want, options.acquireTimeoutS * 1000);
    const lock = await this.answer(call, this.client.acquire(want.key, options));
    if (lock) await this.hold(lock, holdMs);
  }

  private async tries(want: Want, options: object, holdMs: number): Promise<void> {
    const call = this.invoke(want, CONNECT_TIMEOUT_MS + this.startMs + REQUEST_TIMEOUT_MS);
    const lock = await this.answer(call, this.client.tryAcquire(want.key, options));
    if (lock) await this.hold(lock, holdMs);
  }

  /** Two-phase: a place now, the wait later. */
  private async queues(
    want: Want,
    options: { acquireTimeoutS: number },
    holdMs: number,
    random: Random,
  ): Promise<void> {
    if (typeof want.key !== 'string') return;
    const ticket = this.client.enqueue(want.key, options);
    ticket.placed.catch(() => undefined);
    await pause(random.int(0, 10));
    const call = this.invoke(want, options.acquireTimeoutS * 1000);
    const lock = await this.answer(call, ticket.wait());
    if (lock) await this.hold(lock, holdMs);
    else await ticket.cancel();
  }

  private async givesUp(want: Want, options: object, afterMs: number): Promise<void> {
    const call = this.invoke(want, afterMs);
    const lock = await this.answer(
      call,
      this.client.acquire(want.key, { ...options, signal: AbortSignal.timeout(afterMs) }),
    );
    if (lock) await this.hold(lock, 0);
  }

  private async runsUnder(want: Want, options: { acquireTimeoutS: number }, holdMs: number): Promise<void> {
    const call = this.invoke(want, options.acquireTimeoutS * 1000);
    let held: LockHandle | undefined;
    try {
      await this.client.withLock(want.key, options, async (lock) => {
        held = lock;
        this.holdings.granted(call, lock);
        await this.holdings.work(lock, holdMs);
        this.holdings.ends(lock);
      });
      this.holdings.succeeded(held!);
    } catch (error) {
      if (!held) this.refused(call, error);
      else if (error instanceof LockLostError) this.holdings.forget(held);
      else throw error;
    }
  }

  private async hold(lock: LockHandle, ms: number): Promise<void> {
    if (ms > 0) await this.holdings.work(lock, ms);
    await this.holdings.release(lock);
  }

  private invoke({ key, limit = 1 }: Want, withinMs: number): string {
    const call = `${this.index}.${++this.calls}`;
    const at = nanos();
    const name = typeof key === 'string' ? key : key.join('+');
    this.log.add('i', at, call, this.index, name, limit, at + fromMillis(withinMs));
    return call;
  }

  private async answer(call: string, asked: Promise<LockHandle | null>): Promise<LockHandle | null> {
    try {
      const lock = await asked;
      this.startMs = 0;
      if (lock) this.holdings.granted(call, lock);
      else this.log.add('n', nanos(), call, 'null');
      return lock;
    } catch (error) {
      this.refused(call, error);
      return null;
    }
  }

  private refused(call: string, error: unknown): void {
    const { code, name, stack } = error as Error & { code?: string };
    const known = typeof code === 'string' || name === 'TimeoutError';
    this.log.add('n', nanos(), call, known ? String(code ?? name) : 'unknown');
    if (!known) this.log.add('!', nanos(), `not a LockError: ${String(stack).replaceAll('\n', ' ')}`);
  }
}

/** Mostly a moment; now and then long enough for faults to fall into it, and for renewals. */
function drawHold(random: Random): number {
  const draw = random.unit();
  if (draw < 0.9) return 0;
  if (draw < 0.96) return random.int(1, 6);
  if (draw < 0.995) return random.int(20, 200);
  return random.int(300, 1500);
}
