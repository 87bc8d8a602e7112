// Executables on the PATH.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** All of a name, in the order of the PATH. */
export const onPath = (name) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .filter(isExecutable);

export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
