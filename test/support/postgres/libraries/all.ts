import { drizzleLibrary, knexLibrary, kyselyLibrary } from './builders.js';
import type { Library } from './library.js';
import { mikroOrm, prismaLibrary, typeOrm } from './mappers.js';
import { pgLibrary, postgresJs } from './plain.js';

/** What `lockInTransaction` knows. */
export const LIBRARIES: readonly Library[] = [
  pgLibrary,
  typeOrm,
  prismaLibrary,
  knexLibrary,
  kyselyLibrary,
  drizzleLibrary,
  mikroOrm,
  postgresJs,
];
