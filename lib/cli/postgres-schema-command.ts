import { schemaScript } from '../backends/postgres/keep/schema.js';
import { KEPT_TABLE, quoted, tableNameOf } from '../backends/postgres/keep/table-name.js';
import { wrong } from '../common/option-checks.js';
import type { FlagSpec } from './flags.js';
import { type CommandIo, runCommand } from './run-command.js';

/** Replaced by whoever runs the statements. */
const ROLE = '<role>';

export const POSTGRES_SCHEMA_FLAGS: readonly FlagSpec[] = [
  { name: 'table', type: 'string', help: `the table, as in the option postgresBackend.keep (default ${KEPT_TABLE})` },
  { name: 'role', type: 'string', help: 'the role of the application, which gets the rights on the table' },
];

/**
 * Prints the statements that create the table of the option `keep` of `postgresBackend`, for an administrator. Resolves with
 * the exit code.
 */
export function postgresSchemaCommand(args: readonly string[], around: CommandIo): Promise<number> {
  return runCommand(
    { name: 'postgres-schema', flags: POSTGRES_SCHEMA_FLAGS, isStrict: true },
    args,
    around,
    async (flags) => {
      const table = tableNameOf('-table', flags.get('table') ?? KEPT_TABLE);
      const role = flags.get('role');
      if (role === '') throw wrong('-role', 'the name of a role', role);
      around.out(schemaScript(table, role === undefined ? ROLE : quoted(`${role}`)));
      return 0;
    },
  );
}
