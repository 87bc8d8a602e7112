import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the young generation of the heap at its initial size, a megabyte or two, instead of 16 and more. A collection
 * takes time in proportion to what survives, and blocks the daemon meanwhile: connections and keys survive, and
 * thousands of new ones would take 10 to 20 ms. Must be called before the heap grows. A size given on the command line
 * takes precedence.
 */
export function keepCollectionsShort(args: readonly string[], nodeOptions = ''): void {
  if ([...args, nodeOptions].some((text) => /semi[-_]space/.test(text))) return;
  setFlagsFromString('--semi-space-growth-factor=1');
}
