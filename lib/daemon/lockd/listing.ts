/** A long reply, piece by piece. Whoever does not finish it must call `return`. */
export type Listing = Generator<string, void>;

/** Replies of up to this many pieces are built at once, unless they reach this many bytes before. */
const AT_ONCE = 64;
const BYTES_AT_ONCE = 16 * 1024;

/** The reply as a text, if it is short. */
export function unlessLong(listing: Listing): string | Listing {
  let text = '';
  for (let pieces = 0; pieces < AT_ONCE && text.length < BYTES_AT_ONCE; pieces++) {
    const { done, value } = listing.next();
    if (done) return text;
    text += value;
  }
  return continued(text, listing);
}

function* continued(beginning: string, rest: Listing): Listing {
  try {
    yield beginning;
    yield* rest;
  } finally {
    rest.return();
  }
}

/** Renders one item per piece. */
export function* pieces<T>(items: Iterable<T>, render: (item: T) => string): Listing {
  for (const item of items) yield render(item);
}

/** An object in JSON text on a line of its own. @param render makes `"name":value` */
export function* jsonObject<T>(items: Iterable<T>, render: (item: T) => string): Listing {
  let separator = '{';
  for (const item of items) {
    yield separator + render(item);
    separator = ',';
  }
  yield separator === '{' ? '{}\n' : '}\n';
}

/** The items that a set has now, unless they are removed before their turn. */
export function* present<T>(set: ReadonlySet<T>): Generator<T, void> {
  let left = set.size;
  for (const item of set) {
    if (left-- === 0) return;
    yield item;
  }
}
