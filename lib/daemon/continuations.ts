import type { Clock, Ms } from '../common/system.js';
import type { Request } from '../protocol/messages.js';

/** What a session may execute when it is heard, if nobody is in line: a window of 1,000 pipelined requests passes in one go. */
const HEARD_MS: Ms = 1.5;
/** What a session in line may execute at a time. */
const SLICE_MS: Ms = 0.5;
/** What all continuations of one turn of the event loop may take together. */
const TURN_MS: Ms = 0.75;

/** After so many requests a session looks whether its time is over. */
export const REQUESTS_AT_ONCE = 16;

/** In requests: the cost of stats grows with the number of keys. */
export const weightOf = (frame: Request | string): number =>
  typeof frame === 'object' && frame.t === 'stats' ? REQUESTS_AT_ONCE : 1;

/** A session that has more to execute than fits into its slice of a turn. */
export interface Continued {
  /** Executes for so long, and gets in line again if there is still more. */
  proceed(now: Ms, sliceMs: Ms): void;
}

/**
 * Sessions that flood the daemon with requests, in line for what is left of each turn. Who asks for little is heard as it
 * comes, and waits for a turn at most, however much others have asked for.
 */
export class Continuations {
  private readonly line: Continued[] = [];
  private proceeding = false;

  /** @param heard runs when some have proceeded */
  constructor(
    private readonly clock: Clock,
    private readonly heard: () => void,
  ) {}

  /** For a session that is heard: the less, the more are in line. */
  get sliceMs(): Ms {
    return HEARD_MS / (1 + this.line.length) ** 2;
  }

  add(session: Continued): void {
    if (this.line.push(session) === 1 && !this.proceeding) this.clock.afterPoll(this.next);
  }

  private readonly next = (): void => {
    const { clock, line } = this;
    let now = clock.now();
    const end = now + TURN_MS;
    this.proceeding = true;
    // Each at most once in a turn; who is not done goes to the end of the line.
    for (let left = line.length; left > 0 && now < end; left--) {
      line.shift()!.proceed(now, SLICE_MS);
      now = clock.now();
    }
    this.proceeding = false;
    if (line.length > 0) clock.afterPoll(this.next);
    this.heard();
  };
}
