import { describe, expect, it } from '@jest/globals';
import { daemonCommand } from '../../../lib/cli/daemon-command.js';
import { lockdCommand } from '../../../lib/cli/lockd-command.js';
import { postgresSchemaCommand } from '../../../lib/cli/postgres-schema-command.js';

const COMMANDS = [
  ['daemon', daemonCommand, '-port int'],
  ['lockd', lockdCommand, '-disable-registry'],
  ['postgres-schema', postgresSchemaCommand, '-role string'],
] as const;

async function run(command: (typeof COMMANDS)[number][1], args: string[], env: Record<string, string> = {}) {
  const printed = { out: '', err: '' };
  const code = await command(args, {
    env,
    out: (text) => (printed.out += text),
    err: (text) => (printed.err += text),
    onStop: () => undefined,
    version: '1.2.3',
  });
  return { code, ...printed };
}

describe.each(COMMANDS)('nestjs-dflockd %s', (name, command, flag) => {
  it.each([['--help'], ['-help'], ['-h']])('prints its usage with %s', async (arg) => {
    // Whatever else is wrong.
    const { code, out, err } = await run(command, [arg, '--bogus'], { DFLOCKD_PORT: '70000' });
    // As dflockd does (spec 7).
    if (name === 'daemon') expect([code, out, err.split('\n', 1)]).toEqual([1, '', ['help requested']]);
    else expect([code, err]).toEqual([0, '']);
    expect(out + err).toMatch(new RegExp(`^(help requested\\n)?Usage of ${name}:\\n[^]*${flag}[^]*\\n$`));
  });

  it('explains an unknown flag with its usage, and ends with 1', async () => {
    const { code, out, err } = await run(command, ['--bogus']);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(new RegExp(`^flag provided but not defined: -bogus\\nUsage of ${name}:\\n[^]*${flag}`));
  });
});
