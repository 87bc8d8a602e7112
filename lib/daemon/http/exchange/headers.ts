/** The first value of a header, as a byte string; undefined if it was not sent. @param name in lower case */
export function firstHeader(rawHeaders: readonly string[], name: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const sent = rawHeaders[i]!;
    if (sent.length === name.length && sent.toLowerCase() === name) return rawHeaders[i + 1]!;
  }
  return undefined;
}

const HOST = 'host';
const TRANSFER_ENCODING = 'transfer-encoding';
/** The characters of a Host header, as Go's net/http accepts them. */
const HOST_VALUE = /^[!$%&'()*+,\-.0-9:;=A-Z[\]_a-z~]*$/;

/** What may be wrong with the headers that say where a request goes and where its body ends. */
export type HeadFault = 'no host' | 'bad host' | 'bad coding';

/** @param minor of the version: HTTP/1.0 needs no Host */
export function headFault(rawHeaders: readonly string[], minor: number): HeadFault | undefined {
  let hosts = 0;
  let isCoded = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const { length } = rawHeaders[i]!;
    if (length === HOST.length) {
      if (rawHeaders[i]!.toLowerCase() !== HOST) continue;
      if (++hosts > 1 || !HOST_VALUE.test(rawHeaders[i + 1]!)) return 'bad host';
    } else if (length === TRANSFER_ENCODING.length && rawHeaders[i]!.toLowerCase() === TRANSFER_ENCODING) {
      // Node's parser takes what ends with `chunked` for chunked, and decodes nothing else.
      if (isCoded || rawHeaders[i + 1]!.toLowerCase() !== 'chunked') return 'bad coding';
      isCoded = true;
    }
  }
  return hosts === 0 && minor > 0 ? 'no host' : undefined;
}
