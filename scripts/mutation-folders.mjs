/**
 * What is mutated, and by which specs it is judged. Left out are specs that wait for real time or draw at random: a mutant
 * must cost well under a second, and the same mutant must fare the same tomorrow.
 *
 * @type {Record<string, { in: string, but: RegExp }[]>}
 */
const NONE = /^$/;
const FOLDERS = {
  core: [{ in: 'test/unit/core', but: /^(engine\.property|mutants|signal-hub\.property)\.spec/ }],
  locks: [{ in: 'test/unit/locks', but: /\.scale\.spec/ }],
  'backends/dflockd': [{ in: 'test/unit/backends/dflockd', but: NONE }],
};

export const FOLDER_NAMES = Object.keys(FOLDERS);

/** @param {string | undefined} name where its specs are */
export function folderOf(name) {
  const folder = FOLDERS[name];
  if (!folder) throw new Error(`--folder must be one of ${FOLDER_NAMES.join(', ')}, got "${name}"`);
  return folder;
}
