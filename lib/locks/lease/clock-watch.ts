import type { Clock, Ms } from '../../common/system.js';

/** A period of machine suspension, during which the monotonic clock stood still. */
interface Sleep {
  /** When it was noticed. Proof from before then may date from before the suspension. */
  readonly noticedAt: Ms;
  readonly ms: Ms;
}

/** Clocks may differ by this much without meaning: some machines count their uptime in whole seconds. */
const TOLERANCE_MS: Ms = 1000;
/**
 * Once they differ, they may drift further in small steps, and the part not yet counted must stay below the smallest
 * safety margin of a lease.
 */
const FURTHER_MS: Ms = 50;
/** Before a request is sent, a sample younger than this is recent enough. */
const FRESH_MS: Ms = 10;
const MAX_SLEEPS = 16;

/**
 * Notices that the machine was suspended, or that its wall clock was set (rule 13). A suspension counts as elapsed time
 * for all earlier proof; a wall clock that jumps is only a hint that something happened.
 */
export class ClockWatch {
  private sleeps: Sleep[] = [];
  private haveParted = false;
  private lookedAt: Ms;
  /** How far the uptime and wall clocks are ahead of the monotonic clock. */
  private uptimeLead: Ms;
  private wallLead: Ms;

  /** @param onJump called by the sample that finds a jump, after the suspension has been recorded */
  constructor(
    private readonly clock: Clock,
    private readonly onJump: () => void,
  ) {
    const now = clock.now();
    this.lookedAt = now;
    this.uptimeLead = clock.uptime() - now;
    this.wallLead = clock.wall() - now;
  }

  /**
   * Samples before a request is sent. The request becomes proof, and the later the last sample before it, the fewer
   * suspensions count against it in vain.
   */
  sampleIfStale(now = this.clock.now()): void {
    if (now - this.lookedAt >= FRESH_MS) this.sample();
  }

  /** Reads the clocks, which takes about 1.6 µs. */
  sample(): void {
    const now = this.clock.now();
    this.lookedAt = now;
    const slept = this.clock.uptime() - now - this.uptimeLead;
    const set = this.clock.wall() - now - this.wallLead;
    // Wall clocks are slewed; only a step between two samples is a jump.
    this.wallLead += set;
    const parted = Math.abs(slept) > TOLERANCE_MS;
    this.haveParted ||= slept > TOLERANCE_MS;
    if (parted || (this.haveParted && slept > FURTHER_MS)) {
      this.uptimeLead += slept;
      if (slept > 0) this.note({ noticedAt: now, ms: slept });
    }
    if (parted || Math.abs(set) > TOLERANCE_MS) this.onJump();
  }

  /** How long the machine may have been suspended since then, as of the last sample. */
  sleptSince(time: Ms): Ms {
    // Almost always.
    if (this.sleeps.length === 0) return 0;
    let total = 0;
    for (const { noticedAt, ms } of this.sleeps) if (noticedAt > time) total += ms;
    return total;
  }

  private note(sleep: Sleep): void {
    this.sleeps.push(sleep);
    if (this.sleeps.length <= MAX_SLEEPS) return;
    // Merged at the later time: this counts too much for proof from between them, never too little.
    const [first, second, ...rest] = this.sleeps as [Sleep, Sleep, ...Sleep[]];
    this.sleeps = [{ noticedAt: second.noticedAt, ms: first.ms + second.ms }, ...rest];
  }
}
