/** A promise that is rejected with whatever it is: what an AbortSignal gives as its reason need not be an Error. */
export const rejected = async (reason: unknown): Promise<never> => {
  throw reason;
};
