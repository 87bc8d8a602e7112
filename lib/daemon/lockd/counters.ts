/** In the order in which `q` lists them. The optional ones appear only after their first use. */
const COMMANDS = ['d', 'dump', 'g', 'i', 'iam', 'me', 'q', 'r', 'sd', 'sg', 'si', 'sr', 'who'] as const;
export type CountedCommand = (typeof COMMANDS)[number];

const OPTIONAL: readonly string[] = ['iam', 'me', 'who'] satisfies CountedCommand[];

/** What exists now. */
export interface Gauges {
  readonly connections: number;
  readonly locks: number;
  readonly sharedLocks: number;
}

/** What `q` counts since the start. */
export class Counters {
  readonly commands = Object.fromEntries(COMMANDS.map((name) => [name, 0])) as Record<CountedCommand, number>;
  invalid = 0;
  orphans = 0;
  sharedOrphans = 0;

  /** The reply to `q`, sorted. */
  text({ connections, locks, sharedLocks }: Gauges): string {
    let text = '';
    for (const name of COMMANDS) {
      const count = this.commands[name];
      if (count > 0 || !OPTIONAL.includes(name)) text += `command_${name}: ${count}\n`;
    }
    text += `connections: ${connections}\ninvalid_commands: ${this.invalid}\nlocks: ${locks}\norphans: ${this.orphans}\n`;
    return `${text}shared_locks: ${sharedLocks}\nshared_orphans: ${this.sharedOrphans}\n`;
  }
}
