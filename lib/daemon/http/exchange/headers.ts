/** The first value of a header, as a byte string; undefined if it was not sent. @param name in lower case */
export function firstHeader(rawHeaders: readonly string[], name: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const sent = rawHeaders[i]!;
    if (sent.length === name.length && sent.toLowerCase() === name) return rawHeaders[i + 1]!;
  }
  return undefined;
}
