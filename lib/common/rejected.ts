/** A promise rejected with any value: the reason of an AbortSignal need not be an Error. */
export const rejected = async (reason: unknown): Promise<never> => {
  throw reason;
};
