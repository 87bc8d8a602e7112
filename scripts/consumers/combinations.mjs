// The consumers: every Nest, module system, HTTP platform and Node that the package supports.
const NESTS = [
  { nest: '10', schedule: '4' },
  { nest: '11', schedule: '6' },
  { nest: '12', schedule: '12' },
];
const SYSTEMS = ['esm', 'cjs'];
const PLATFORMS = ['express', 'fastify'];
export const NODES = ['20', '22', '24'];

export const nests = NESTS;

/** The combinations of one Nest: all twelve, or the four that cover every module system, platform and Node. */
export function combinationsOf({ nest }, all) {
  const pairs = SYSTEMS.flatMap((system) => PLATFORMS.map((platform) => ({ nest, system, platform })));
  if (all) return pairs.flatMap((pair) => NODES.map((node) => ({ ...pair, node })));
  return pairs.map((pair, i) => ({ ...pair, node: NODES[(i + Number(nest)) % NODES.length] }));
}
