const utf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
const bytesOf = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** What lockd answers to one connection, while another holds one lock and nobody else anything. Texts are bytes. */
export class LockdModel {
  private readonly held = new Map<string, string>();
  private readonly shared = new Set<string>();
  private name: string | undefined;

  constructor(
    private readonly address: string,
    private readonly other: readonly [lock: string, address: string],
  ) {}

  /** @param line with its line break */
  answer(line: string): string {
    return bytesOf(this.reply(utf8(line.slice(0, -1)).replace(/\r$/, '')));
  }

  private reply(line: string): string {
    const space = line.indexOf(' ');
    const command = space < 0 ? line : line.slice(0, space);
    const name = space < 0 ? '' : line.slice(space + 1);
    const yes = (truth: boolean, text: string, otherwise: string): string =>
      `${truth ? 1 : 0} ${truth ? text : otherwise}: ${name}\n`;
    const isMine = this.held.has(name);
    const isShared = this.shared.has(name);
    const label = this.name || this.address;
    switch (command) {
      case 'g':
        if (name !== this.other[0]) this.held.set(name, name);
        return yes(name !== this.other[0], 'Lock Get Success', 'Lock Get Failure');
      case 'r':
        this.held.delete(name);
        return yes(isMine, 'Lock Release Success', 'Lock Release Failure');
      case 'i':
        return yes(isMine || name === this.other[0], 'Lock Is Locked', 'Lock Not Locked');
      case 'sg':
        this.shared.add(name);
        return yes(true, 'Shared Lock Get Success', '');
      case 'sr':
        this.shared.delete(name);
        return yes(isShared, 'Shared Lock Release Success', 'Shared Lock Release Failure');
      case 'si':
        return yes(isShared, 'Shared Lock Is Locked', 'Shared Lock Not Locked');
      case 'd': {
        const all = [`${this.other.join(': ')}\n`, ...[...this.held.keys()].map((one) => `${one}: ${label}\n`)];
        return name === '' ? all.join('') : isMine ? `${name}: ${label}\n` : '';
      }
      case 'sd':
        return [...this.shared].map((one) => (name === '' || one === name ? `${one}: ${label}\n` : '')).join('');
      case 'dump': {
        const entry = (one: string, value: unknown): string => `${JSON.stringify(one)}:${JSON.stringify(value)}`;
        const held = [entry(...this.other), ...[...this.held.keys()].map((one) => entry(one, this.address))];
        return `{${(name === 'shared' ? [...this.shared].map((one) => entry(one, [this.address])) : held).join()}}\n`;
      }
      case 'me':
        return `1 ${this.address} ${label}\n`;
      case 'iam':
        this.name = name;
        return '1 ok\n';
      case 'who':
        return this.name !== undefined && (name === '' || name === this.name) ? `${this.address}: ${this.name}\n` : '';
      default:
        return '';
    }
  }
}
