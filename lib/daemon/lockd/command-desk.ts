import type { Ms } from '../../common/system.js';
import { fromBytes, toBytes } from '../../protocol/bytes.js';
import { DISABLED, type LockCommand, TEXTS } from '../../protocol/lockd/texts.js';
import type { CountedCommand } from './counters.js';
import type { LockdState } from './lockd-state.js';
import type { HeldLock } from './exclusive-locks.js';
import { jsonObject, type Listing, pieces, present, unlessLong } from './listing.js';
import type { Member, SharedLock } from './member.js';

export interface LockdFeatures {
  readonly dump: boolean;
  readonly registry: boolean;
}

const OFF = `${DISABLED}\n`;

/** JSON text of a byte string, as JSON.stringify writes it. */
const quote = (bytes: string): string => toBytes(JSON.stringify(fromBytes(bytes)));

/** Executes lines, one at a time. */
export class CommandDesk {
  constructor(
    private readonly state: LockdState,
    private readonly features: LockdFeatures,
  ) {}

  /** Executes a line that is not empty, and returns the reply: empty if there is none. */
  execute(member: Member, line: string, now: Ms): string | Listing {
    const space = line.indexOf(' ');
    const command = space < 0 ? line : line.slice(0, space);
    const name = space < 0 ? '' : line.slice(space + 1);
    const { exclusive, shared, counters } = this.state;
    switch (command) {
      case 'g':
        counters.commands.g++;
        return reply('g', exclusive.get(member, name, now) ? 1 : 0, name);
      case 'r':
        counters.commands.r++;
        return reply('r', exclusive.release(member, name, now) ? 1 : 0, name);
      case 'i':
        counters.commands.i++;
        return reply('i', exclusive.isLocked(name, now) ? 1 : 0, name);
      case 'sg':
        counters.commands.sg++;
        return reply('sg', this.getShared(member, name), name);
      case 'sr':
        counters.commands.sr++;
        return reply('sr', shared.release(member, name) ? 1 : 0, name);
      case 'si':
        counters.commands.si++;
        return reply('si', shared.count(name), name);
      default:
        return this.executeOther(member, command, name, now);
    }
  }

  /** How many commands this one costs: a long name is decoded and hashed, and `who NAME` walks through all names. */
  weightOf(line: string): number {
    const walked = line.startsWith('who ') ? this.state.registry.size >> 6 : 0;
    return 1 + (line.length >> 12) + walked;
  }

  private getShared(member: Member, name: string): number {
    const { shared, isDraining } = this.state;
    const mayGet = !isDraining || shared.at(name)?.holders.has(member);
    return mayGet ? shared.get(member, name) : 0;
  }

  private executeOther(member: Member, command: string, name: string, now: Ms): string | Listing {
    switch (command) {
      case 'd':
        return this.counted(
          'd',
          this.ifDumped(() => (name === '' ? this.holders() : this.holder(name, now))),
        );
      case 'sd':
        return this.counted(
          'sd',
          this.ifDumped(() => (name === '' ? this.sharedHolders() : this.sharedHolder(name))),
        );
      case 'dump':
        return this.counted(
          'dump',
          this.ifDumped(() => (name === 'shared' ? this.sharedJson() : this.json())),
        );
      case 'me':
        return this.counted('me', `1 ${member.address} ${member.label}\n`);
      case 'iam':
        return this.counted('iam', this.rename(member, name));
      case 'who':
        return this.counted('who', this.features.registry ? this.ifDumped(() => this.names(name)) : OFF);
      case 'q':
        return this.counted('q', this.statistics());
      default:
        this.state.counters.invalid++;
        return '';
    }
  }

  /** Counts a command after its reply has been built. */
  private counted(command: CountedCommand, reply: string | Listing): string | Listing {
    this.state.counters.commands[command]++;
    return reply;
  }

  private ifDumped(list: () => string | Listing): string | Listing {
    return this.features.dump ? list() : OFF;
  }

  private rename(member: Member, name: string): string {
    if (!this.features.registry) return OFF;
    this.state.registry.rename(member, name);
    return '1 ok\n';
  }

  private statistics(): string {
    const { counters, connections, locks, shared } = this.state;
    return counters.text({ connections, locks, sharedLocks: shared.size });
  }

  private holder(name: string, now: Ms): string {
    const holder = this.state.exclusive.holderOf(name, now);
    return holder === undefined ? '' : `${name}: ${holder}\n`;
  }

  private holders(): string | Listing {
    return unlessLong(pieces(this.state.exclusive.walk(), lineOf));
  }

  private sharedHolder(name: string): string | Listing {
    const lock = this.state.shared.at(name);
    return lock ? unlessLong(linesOf(lock)) : '';
  }

  private sharedHolders(): string | Listing {
    return unlessLong(linesOfAll(this.state.shared.walk()));
  }

  private names(name: string): string | Listing {
    const { registry } = this.state;
    if (name === '') return unlessLong(pieces(registry.walk(), nameOf));
    const found = registry.find(name);
    return found ? nameOf(found) : '';
  }

  private json(): string | Listing {
    return unlessLong(jsonObject(this.state.exclusive.walk(), memberOf));
  }

  private sharedJson(): string | Listing {
    return unlessLong(jsonObject(this.state.shared.walk(), membersOf));
  }
}

const reply = (command: LockCommand, count: number, name: string): string =>
  `${count} ${count > 0 ? TEXTS[command].yes : TEXTS[command].no}: ${name}\n`;

const lineOf = ({ name, owner }: HeldLock): string => `${name}: ${owner.label}\n`;
const nameOf = ({ address, name }: Member): string => `${address}: ${name}\n`;

const linesOf = ({ key, holders }: SharedLock): Listing =>
  pieces(present(holders), ({ label }) => `${key}: ${label}\n`);

function* linesOfAll(locks: Iterable<SharedLock>): Listing {
  for (const lock of locks) yield* linesOf(lock);
}

const memberOf = ({ name, owner }: HeldLock): string => `${quote(name)}:"${owner.address}"`;
const membersOf = ({ key, holders }: SharedLock): string =>
  `${quote(key)}:[${Array.from(holders, ({ address }) => `"${address}"`).join()}]`;
