import type { TableName } from './table-name.js';

const RIGHTS = 'select, insert, update, delete';

/** Creates the table. May be repeated. */
export const createTable = ({ sql }: TableName): string =>
  `create table if not exists ${sql} (id bigint primary key, until timestamptz not null)`;

/** @param role for SQL */
export const grantRights = ({ sql }: TableName, role: string): string => `grant ${RIGHTS} on ${sql} to ${role}`;

/** What an administrator runs, one statement on each line. */
export const schemaScript = (table: TableName, role: string): string =>
  `${createTable(table)};\n${grantRights(table, role)};\n`;
