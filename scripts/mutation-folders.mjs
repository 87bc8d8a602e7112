/**
 * What is mutated, and which specs judge it. Specs that wait for real time or use randomness are left out: a mutant
 * must cost well under a second, and its result must be reproducible.
 *
 * @type {Record<string, { in: string, but: RegExp }[]>}
 */
const NONE = /^$/;
const FOLDERS = {
  core: [{ in: 'test/unit/core', but: /^(engine\.property|mutants|signal-hub\.property)\.spec/ }],
  locks: [{ in: 'test/unit/locks', but: /\.scale\.spec/ }],
  'backends/dflockd': [{ in: 'test/unit/backends/dflockd', but: NONE }],
  'backends/redis': [{ in: 'test/unit/backends/redis', but: /^scripts\/tokens\.spec/ }],
  'backends/postgres': [{ in: 'test/unit/backends/postgres', but: /^random-faults\.spec/ }],
};

export const FOLDER_NAMES = Object.keys(FOLDERS);

/** @param {string | undefined} name the folder of its specs */
export function folderOf(name) {
  const folder = FOLDERS[name];
  if (!folder) throw new Error(`--folder must be one of ${FOLDER_NAMES.join(', ')}, got "${name}"`);
  return folder;
}
