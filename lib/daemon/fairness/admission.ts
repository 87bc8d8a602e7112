/** Counts connections, in total and per address, and decides whether another is admitted (spec 4.7). */
export class Admission {
  private readonly byAddress = new Map<string, number>();
  count = 0;

  /** @param most 0 = unlimited @param mostPerAddress 0 = unlimited */
  constructor(
    private readonly most: number,
    private readonly mostPerAddress: number,
  ) {}

  /** Counts a connection and returns true, unless a limit is reached. */
  admit(address: string): boolean {
    const here = this.byAddress.get(address) ?? 0;
    if (this.most > 0 && this.count >= this.most) return false;
    if (this.mostPerAddress > 0 && here >= this.mostPerAddress) return false;
    this.byAddress.set(address, here + 1);
    this.count++;
    return true;
  }

  leave(address: string): void {
    const here = this.byAddress.get(address)!;
    if (here > 1) this.byAddress.set(address, here - 1);
    else this.byAddress.delete(address);
    this.count--;
  }
}

/** The address of a peer; an IPv4 address is the same whether or not the socket is dual-stack. */
export const plainAddress = (address: string | undefined): string => (address ?? '').replace(/^::ffff:(?=[\d.]+$)/, '');
