import { SLOTS } from '../scripts/companion-keys.js';
import type { Endpoint } from './connection.js';

/** Which node has which slot. */
export class ClusterMap<N> {
  private slots: (N | undefined)[] = new Array<N | undefined>(SLOTS);
  private readonly byAddress = new Map<string, N>();

  at(slot: number): N | undefined {
    return this.slots[slot];
  }

  /** All that are known, with or without slots. */
  nodes(): readonly N[] {
    return [...this.byAddress.values()];
  }

  /** Those with slots. */
  masters(): readonly N[] {
    return [...new Set(this.slots)].filter((node) => node !== undefined);
  }

  node(address: string, make: () => N): N {
    let node = this.byAddress.get(address);
    if (!node) this.byAddress.set(address, (node = make()));
    return node;
  }

  set(slot: number, node: N): void {
    this.slots[slot] = node;
  }

  /**
   * Takes over what CLUSTER SLOTS answers, and returns the nodes that have no slot any more.
   * @param asked the node that answered: one whose host is not known is meant to be at its address
   */
  replace(reply: unknown, asked: Endpoint, nodeAt: (endpoint: Endpoint) => N): N[] {
    const slots = new Array<N | undefined>(SLOTS);
    for (const [first, last, master] of reply as [number, number, [string | null, number]][]) {
      const [host, port] = master;
      const node = nodeAt({ host: host && host !== '?' ? host : asked.host, port: Number(port) });
      slots.fill(node, Number(first), Number(last) + 1);
    }
    this.slots = slots;
    const used = new Set(slots);
    const removed = [...this.byAddress].filter(([, node]) => !used.has(node));
    for (const [address] of removed) this.byAddress.delete(address);
    return removed.map(([, node]) => node);
  }
}
