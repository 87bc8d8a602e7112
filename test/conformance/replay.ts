import { Standstills } from '../support/stopwatch.js';
import { inTime } from '../support/until.js';
import type { Wire } from '../support/wire.js';
import type { Step, Within } from './corpus.js';
import type { Target } from './targets.js';
import { Bindings, written } from './template.js';

/**
 * Upper bounds are that much wider than recorded: this machine may be slower. Nor do they count moments in which this
 * process could not run. Lower bounds move by nothing but what pauses before the mark lasted too long.
 */
const SLACK = Number(process.env['DFLOCKD_TEST_SLACK'] ?? 4);

/** How long is waited for an answer; when it was to come is judged afterwards. */
const PATIENCE_MS = 5000;

/** What makes a difference to the shortest of the times that scenarios live on. */
const DISTURBED_MS = 40;

/** A scenario went otherwise, but not at the times that were recorded: the machine stood still meanwhile. */
export class DisturbedError extends Error {}

/**
 * Runs the steps of a scenario against a server. Rejects with the transcript where the server did something else, with a
 * DisturbedError if that may be due to the machine.
 */
export async function replay(steps: readonly Step[], target: Target): Promise<void> {
  const run = new Replay(target);
  try {
    for (const step of steps) {
      run.note('·', JSON.stringify(step));
      await run.take(step);
    }
    run.checkNothingUnread();
  } catch (error) {
    const message = `${(error as Error).message}\n${run.transcript()}`;
    throw run.disturbedMs > DISTURBED_MS ? new DisturbedError(message) : new Error(message);
  } finally {
    run.close();
  }
}

class Replay {
  private readonly bindings = new Bindings();
  private readonly wires = new Map<string, Wire>();
  /** Connections that nobody looks at any more. */
  private readonly dropped = new Set<string>();
  private readonly marks = new Map<string, { at: number; stoodStill: number; late: number }>();
  private readonly log: string[] = [];
  private readonly start = performance.now();
  private readonly standstills = new Standstills();
  /** How much longer pauses lasted than they should have: servers may have timed what was said before them. */
  private late = 0;

  constructor(private readonly target: Target) {}

  async take(step: Step): Promise<void> {
    if ('open' in step) return this.open(step.open);
    if ('send' in step) return this.wire(step.send[0]).send(this.bindings.fill(step.send[1]));
    if ('trickle' in step) return this.trickle(...step.trickle);
    if ('expect' in step) return this.expect(...step.expect, step.within);
    if ('silent' in step) return this.silent(...step.silent);
    if ('closed' in step) return this.closed(...step.closed, step.within);
    if ('end' in step) return this.wire(step.end).end();
    if ('destroy' in step) return this.drop(step.destroy).destroy();
    if ('reset' in step) return this.drop(step.reset).reset();
    if ('pause' in step) return this.drop(step.pause).pause();
    if ('sleep' in step) return this.lasting(step.sleep, () => pause(step.sleep));
    if ('mark' in step) return this.mark(step.mark);
    if ('signal' in step) return this.target.signal(step.signal);
    if ('refused' in step) return this.refused();
    return this.exit(step.exit, step.within);
  }

  /** By how much steps came later than they should have. */
  get disturbedMs(): number {
    return Math.max(this.late, this.standstills.total);
  }

  checkNothingUnread(): void {
    for (const [name, wire] of this.wires) {
      if (!this.dropped.has(name) && wire.unread !== '')
        throw new Error(`${name} has unread bytes: ${show(wire.unread)}`);
    }
  }

  close(): void {
    this.standstills.stop();
    for (const wire of this.wires.values()) wire.destroy();
  }

  note(who: string, what: string, at = performance.now()): void {
    this.log.push(`${(at - this.start).toFixed(1).padStart(9)} ms ${who} ${what.slice(0, 300)}`);
  }

  transcript(): string {
    return this.log.join('\n');
  }

  private wire(name: string): Wire {
    const wire = this.wires.get(name);
    if (!wire) throw new Error(`there is no connection ${name}`);
    return wire;
  }

  private drop(name: string): Wire {
    this.dropped.add(name);
    return this.wire(name);
  }

  private async open(name: string): Promise<void> {
    const wire = await this.target.connect();
    this.wires.set(name, wire);
    wire.stream.on('data', (chunk: Buffer) => this.note(`${name} ←`, show(chunk.toString('latin1'))));
    wire.stream.on('end', () => this.note(`${name} ←`, 'FIN'));
    wire.stream.on('error', (error) => this.note(`${name} ←`, error.message));
  }

  private async trickle(name: string, bytes: string, ms: number): Promise<void> {
    for (const byte of this.bindings.fill(bytes)) {
      this.wire(name).send(byte);
      await this.lasting(ms, () => pause(ms));
    }
  }

  private async expect(name: string, text: string, within?: Within): Promise<void> {
    const wire = this.wire(name);
    const wanted = written(text);
    const lines = wanted.split('\n').length - 1;
    await wire.wait(() => wire.has(lines) || wire.closed, PATIENCE_MS * SLACK);
    const { bytes, at } = wire.take(lines);
    const why = this.bindings.mismatch(wanted, bytes);
    if (why) throw new Error(`${name} got something else: ${why}${wire.closed ? ' (the server has closed)' : ''}`);
    if (within) this.checkWithin(within, at);
  }

  private async silent(name: string, ms: number): Promise<void> {
    const wire = this.wire(name);
    const loud = (): boolean => wire.unread !== '' || wire.closed;
    await this.lasting(ms, () => wire.wait(loud, ms));
    await pause(0);
    if (loud()) throw new Error(`${name} is not silent: ${wire.closed ? 'closed, ' : ''}${show(wire.unread)}`);
  }

  private async closed(name: string, ms: number, within?: Within): Promise<void> {
    const wire = this.wire(name);
    await wire.wait(() => wire.closed, ms * SLACK);
    if (!wire.closed) throw new Error(`${name} is not closed; it got ${show(wire.unread)}`);
    if (wire.unread !== '') throw new Error(`${name} is closed, but got ${show(wire.unread)} before`);
    if (within) this.checkWithin(within, wire.closedAt!);
  }

  private async refused(): Promise<void> {
    if ((await this.target.refuses()) === false) throw new Error('a new connection was accepted');
  }

  private async exit(code: number, within?: Within): Promise<void> {
    const got = await inTime(this.target.exit(), 'the end of the process', PATIENCE_MS * SLACK);
    if (got !== code) throw new Error(`the process ended with ${got}, not ${code}`);
    if (within) this.checkWithin(within, performance.now());
  }

  private async lasting(ms: number, wait: () => Promise<void>): Promise<void> {
    const began = performance.now();
    await wait();
    this.late += Math.max(performance.now() - began - ms, 0);
  }

  private mark(name: string): void {
    this.marks.set(name, { at: performance.now(), stoodStill: this.standstills.total, late: this.late });
  }

  private checkWithin([name, lo, hi]: Within, at: number): void {
    const mark = this.marks.get(name)!;
    const took = at - mark.at;
    const stoodStill = this.standstills.total - mark.stoodStill;
    if (took < lo - mark.late || took - stoodStill > hi * SLACK) {
      const but = stoodStill > 0 ? ` (of which ${stoodStill.toFixed(1)} ms at a standstill)` : '';
      throw new Error(`${took.toFixed(1)} ms after ${name}${but}, not within ${lo} and ${hi} ms`);
    }
  }
}

/** Waits, and lets what has arrived meanwhile be read: also where this process was too busy to do so in time. */
async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}

const show = (bytes: string): string => JSON.stringify(bytes.length > 300 ? `${bytes.slice(0, 300)}…` : bytes);
