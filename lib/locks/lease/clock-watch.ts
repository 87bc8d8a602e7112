import type { Clock, Ms } from '../../common/system.js';

/** A part of the machine's life during which the monotonic clock stood still. */
interface Sleep {
  /** When it was noticed; what had been proven before then may have been proven before the sleep. */
  readonly noticedAt: Ms;
  readonly ms: Ms;
}

/** What the clocks may part by without meaning anything: some machines count their uptime in whole seconds. */
const TOLERANCE_MS: Ms = 1000;
/**
 * Once they have parted, they may go on parting bit by bit, and what is not yet counted must be less than the least safety
 * margin of a lease.
 */
const FURTHER_MS: Ms = 50;
/** A look that is younger than this is young enough before a request is sent. */
const FRESH_MS: Ms = 10;
const MAX_SLEEPS = 16;

/**
 * Notices that the machine slept, or that its wall clock was set (rule 13). A sleep counts as time that has passed for
 * every proof of before; a wall clock that jumped is only a hint that something happened.
 */
export class ClockWatch {
  private sleeps: Sleep[] = [];
  private haveParted = false;
  private lookedAt: Ms;
  /** What uptime and wall clock are ahead of the monotonic clock. */
  private uptimeLead: Ms;
  private wallLead: Ms;

  /** @param onJump called in the look that finds a jump, after the sleep has been noted */
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
   * A look for those who are about to send: what they send is proof, and the later the last look before it, the fewer
   * sleeps are counted against it in vain.
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
    // Wall clocks are slewed; only a step between two looks is a jump.
    this.wallLead += set;
    const parted = Math.abs(slept) > TOLERANCE_MS;
    this.haveParted ||= slept > TOLERANCE_MS;
    if (parted || (this.haveParted && slept > FURTHER_MS)) {
      this.uptimeLead += slept;
      if (slept > 0) this.note({ noticedAt: now, ms: slept });
    }
    if (parted || Math.abs(set) > TOLERANCE_MS) this.onJump();
  }

  /** For how long the machine may have slept since then, as far as the last look knows. */
  sleptSince(time: Ms): Ms {
    let total = 0;
    for (const { noticedAt, ms } of this.sleeps) if (noticedAt > time) total += ms;
    return total;
  }

  private note(sleep: Sleep): void {
    this.sleeps.push(sleep);
    if (this.sleeps.length <= MAX_SLEEPS) return;
    // Both as of the later one: that counts too much for a proof from between them, never too little.
    const [first, second, ...rest] = this.sleeps as [Sleep, Sleep, ...Sleep[]];
    this.sleeps = [{ noticedAt: second.noticedAt, ms: first.ms + second.ms }, ...rest];
  }
}
