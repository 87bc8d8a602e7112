import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the young generation of the heap as small as it is at the start, a megabyte or two, instead of 16 and more: a collection
 * of it takes as long as what it finds alive, and nobody is served meanwhile. Connections and keys stay alive: where they come by the
 * thousand, that would be 10 to 20 ms. Must be called before the heap grows. Who sizes it on the command line is not overruled.
 */
export function keepCollectionsShort(args: readonly string[], nodeOptions = ''): void {
  if ([...args, nodeOptions].some((text) => /semi[-_]space/.test(text))) return;
  setFlagsFromString('--semi-space-growth-factor=1');
}
