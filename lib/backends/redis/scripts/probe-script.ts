import { script } from './script.js';

/**
 * Publishes from a script as the others do. `KEYS = fence`, which chooses the node in a cluster, `ARGV = PUBLISH or SPUBLISH,
 * channel, text`; replies how many received it.
 */
export const probeScript = script('probe', `return redis.call(ARGV[1], ARGV[2], ARGV[3])`);
