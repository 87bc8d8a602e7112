import type { FakeEntropy } from '../../support/fake-clock.js';
import type { Held } from './fuzz-model.js';

/** Bytes that mean something to somebody. */
const TELLING = [
  '\n',
  '\r',
  ' ',
  '\t',
  '\0',
  '\v',
  '-',
  '+',
  '0',
  '1',
  '9',
  '*',
  '>',
  '.',
  '\x85',
  '\xa0',
  '\xc2\xa0',
  '\xe2\x80\x83',
  '\xff',
];

const COMMANDS = [
  'l',
  'sl',
  'r',
  'sr',
  'n',
  'sn',
  'e',
  'se',
  'w',
  'sw',
  'ping',
  'stats',
  'auth',
  'listen',
  'unlisten',
  'signal',
];

/** Frames of all kinds: sound ones, slightly wrong ones, and noise. */
export class Frames {
  constructor(
    private readonly random: FakeEntropy,
    private readonly held: () => readonly Held[],
  ) {}

  next(): string {
    const dice = this.random.unit();
    if (dice < 0.55) return this.sound();
    if (dice < 0.9) return this.mutated(this.sound());
    if (dice < 0.97) return `${this.noise(12)}\n${this.noise(12)}\n${this.noise(12)}\n`;
    if (dice < 0.99) return this.noise(60);
    return this.long();
  }

  /** A chunk's length, mostly small. */
  chunk(): number {
    return 1 + this.below(this.random.unit() < 0.3 ? 8 : 4000);
  }

  below(n: number): number {
    return Math.floor(this.random.unit() * n);
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  private sound(): string {
    const command = this.pick(COMMANDS);
    const end = this.random.unit() < 0.1 ? '\r\n' : '\n';
    const held = this.pick<Held | undefined>(this.held());
    if (held && /^s?[rn]$/.test(command) && this.random.unit() < 0.8) {
      return [held.prefix + command.at(-1), held.key, held.token, ''].join(end);
    }
    return [command, this.key(command), this.argument(command), ''].join(end);
  }

  private key(command: string): string {
    if (command === 'listen' || command === 'unlisten')
      return this.pick(['a', 'a.b', 'a.*', '>', '*.b', 'a.>', 'a*', '']);
    if (command === 'signal') return this.pick(['a', 'a.b', 'a.c', 'b', 'a.*', '']);
    return `k${this.below(12)}`;
  }

  private argument(command: string): string {
    const wait = this.random.unit() < 0.05 ? '3' : '0';
    const lease = this.random.unit() < 0.3 ? ` ${1 + this.below(100)}` : '';
    const limit = 1 + this.below(3);
    switch (command) {
      case 'l':
        return wait + lease;
      case 'sl':
        return `${wait} ${limit}${lease}`;
      case 'e':
        return lease;
      case 'se':
        return `${limit}${lease}`;
      case 'w':
      case 'sw':
        return wait;
      case 'r':
      case 'sr':
        return '0123456789abcdef0123456789abcdef';
      case 'n':
      case 'sn':
        return `0123456789abcdef0123456789abcdef${lease}`;
      case 'listen':
      case 'unlisten':
        return this.pick(['', '', 'g', 'h']);
      case 'signal':
        return this.pick(['payload', ' with  blanks ', '{"a":1}', '']);
      default:
        return this.pick(['', 'x']);
    }
  }

  private mutated(frame: string): string {
    for (let times = 1 + this.below(3); times > 0; times--) frame = this.mutatedOnce(frame);
    return frame;
  }

  private mutatedOnce(frame: string): string {
    const at = this.below(frame.length + 1);
    const [before, after] = [frame.slice(0, at), frame.slice(at)];
    switch (this.below(6)) {
      case 0:
        return before + this.pick(TELLING) + after;
      case 1:
        return before + this.byte() + after.slice(1);
      case 2:
        return before + after.slice(1);
      case 3:
        return before + after.slice(0, 5) + after;
      case 4:
        return before + this.pick(TELLING) + after.slice(1);
      default:
        return before + this.pick(['99999999999', '9223372036', '-1', '007', '1 1', '18446744073709551616']) + after;
    }
  }

  private byte(): string {
    return String.fromCharCode(this.below(256));
  }

  private noise(most: number): string {
    let bytes = '';
    for (let n = this.below(most + 1); n > 0; n--) bytes += this.random.unit() < 0.2 ? this.pick(TELLING) : this.byte();
    return bytes;
  }

  /** Around the caps of lines. */
  private long(): string {
    const length = this.pick([250, 255, 256, 257, 300, 4096, 65_531, 65_535, 65_536, 65_537, 70_000]);
    const line = 'x'.repeat(length);
    return this.pick([`${line}\n`, `l\n${line}\n0\n`, `r\nk\n${line}\n`, `auth\n_\n${line}\n`, `signal\na\n${line}\n`]);
  }
}
