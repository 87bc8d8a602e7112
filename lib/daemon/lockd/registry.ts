import { ownBytes } from '../../protocol/bytes.js';
import type { Member } from './member.js';

/** Connections that have given themselves a name, in the order of their first `iam`. */
export class Registry {
  private readonly members = new Set<Member>();

  get size(): number {
    return this.members.size;
  }

  rename(member: Member, name: string): void {
    member.name = ownBytes(name);
    this.members.add(member);
  }

  leave(member: Member): void {
    this.members.delete(member);
  }

  /** The last of those that have this name. */
  find(name: string): Member | undefined {
    let last: Member | undefined;
    for (const member of this.members) if (member.name === name) last = member;
    return last;
  }

  /** Those that are registered now. Connections may come and go between two steps. */
  *walk(): Generator<Member, void> {
    let left = this.members.size;
    for (const member of this.members) {
      if (left-- === 0) return;
      yield member;
    }
  }
}
