/** The cost of the parts of a delivery, in units of about a tenth of a microsecond. */
export const WEIGHT = {
  /** A pattern that is compared. */
  pattern: 2,
  /** A byte of the channel, in the search for patterns. */
  byte: 1,
  /** A listener that already has its copy, through another pattern. */
  skip: 1,
  /** A copy. The host decides when it is written, and may say that it costs more. */
  copy: 4,
  /** As a server-sent event: a chunk that Node writes in four parts. */
  event: 32,
  /** The end of a connection. */
  eviction: 1024,
  /** Added to each copy. */
  of: (payload: string): number => payload.length >> 7,
};

/** The work done in one turn of the event loop: about a millisecond. */
export const ALLOWANCE = 8192;
