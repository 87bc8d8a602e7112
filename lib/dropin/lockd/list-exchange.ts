import { ProtocolError, UnsupportedError } from '../../common/errors.js';
import { shown } from '../../common/shown.js';
import { type Entropy, type Ms, systemEntropy } from '../../common/system.js';
import { DISABLED, TEXTS } from '../../protocol/lockd/texts.js';
import type { Exchange } from './exchanges.js';

/** How long a server that loses pipelined lines may take for a list, as with the original client. */
const LIST_MS: Ms = 100;

/** What a client has learned about its server. */
export interface ServerTraits {
  /** Of several lines that it reads at once, it executes only the first: glockd. */
  losesLines: boolean;
}

const newFence = (entropy: Entropy): string => {
  const bytes = new Uint8Array(16);
  entropy.fill(bytes);
  return `fence-${Buffer.from(bytes).toString('hex')}`;
};

/**
 * A list, which has no end on the wire: a question about a name that nobody knows follows in the same write, and its
 * answer ends the list. If that answer does not come, because the server has lost the question, it is asked again,
 * alone: its answer comes after the list, and nothing of the list can be taken for the answer to a later call.
 */
export class ListExchange implements Exchange {
  silenceMs: Ms | undefined;
  private readonly lines: string[] = [];
  private first: string | undefined;
  private second: string | undefined;
  private isComplete = false;

  /** @param disabled the error message if the server refuses to list */
  constructor(
    private readonly command: string,
    private readonly disabled: string,
    private readonly traits: ServerTraits,
    private readonly done: (error: Error | null, lines: readonly string[]) => void,
    private readonly entropy: Entropy = systemEntropy,
  ) {}

  /** Read once, when it is sent: earlier calls may have learned by then what the server does. */
  get request(): string {
    if (this.traits.losesLines) {
      this.silenceMs = LIST_MS;
      return `${this.command}\n`;
    }
    this.first = newFence(this.entropy);
    return `${this.command}\ni ${this.first}\n`;
  }

  take(line: string): boolean {
    if (this.answers(line, this.second)) {
      // It has answered the later question only.
      if (!this.isComplete) this.traits.losesLines = true;
      return true;
    }
    if (this.isComplete) {
      throw new ProtocolError(`unexpected line after the answer to "${shown(this.command)}": ${shown(line)}`);
    }
    if (this.answers(line, this.first)) {
      this.isComplete = true;
      // If it was asked twice, it also answers twice.
      return this.second === undefined;
    }
    this.lines.push(line);
    return false;
  }

  late(): string | undefined {
    if (this.second !== undefined) return undefined;
    this.second = newFence(this.entropy);
    return `i ${this.second}\n`;
  }

  settle(): void {
    const { lines } = this;
    if (lines.length === 1 && lines[0] === DISABLED) this.done(new UnsupportedError(this.disabled), []);
    else this.done(null, lines);
  }

  fail(error: Error): void {
    this.done(error, []);
  }

  private answers(line: string, fence: string | undefined): boolean {
    return fence !== undefined && line === `0 ${TEXTS.i.no}: ${fence}`;
  }
}
