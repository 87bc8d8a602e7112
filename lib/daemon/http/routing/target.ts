/** The target of a request, as bytes: a character for each byte, nothing decoded. */
export interface Target {
  readonly path: string;
  /** What follows the first `?`; empty if nothing does. */
  readonly query: string;
}

/** Bytes that no target may have: controls and white space. */
const REFUSED = /[\x00-\x20\x7f]/;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?]*/;
/** What `cleanPath` would change. */
const UNCLEAN = /\/\/|\/\.\.?(?:\/|$)/;

/** Splits a raw request target; undefined if it is malformed (spec 9.1). */
export function parseTarget(raw: string): Target | undefined {
  let url = raw;
  if (url.charCodeAt(0) !== 0x2f) {
    const origin = SCHEME.exec(url);
    if (!origin) return undefined;
    url = url.slice(origin[0].length);
    if (!url.startsWith('/')) url = `/${url}`;
  }
  if (REFUSED.test(url)) return undefined;
  const cut = url.indexOf('?');
  const path = cut < 0 ? url : url.slice(0, cut);
  if (path.includes('%') && BAD_ESCAPE.test(path)) return undefined;
  return { path, query: cut < 0 ? '' : url.slice(cut + 1) };
}

/** The bytes of a segment whose escapes are well formed: `a%2Fb` is `a/b`. */
export const decodeSegment = (segment: string): string =>
  segment.includes('%')
    ? segment.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    : segment;

export const isClean = (path: string): boolean => !UNCLEAN.test(path);

/** The path without empty segments, `.` and `..`; escapes are no such segments. A slash at the end stays. */
export function cleanPath(path: string): string {
  const clean: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') clean.pop();
    else if (segment !== '' && segment !== '.') clean.push(segment);
  }
  const cleaned = `/${clean.join('/')}`;
  return path.endsWith('/') && cleaned !== '/' ? `${cleaned}/` : cleaned;
}

/** A path as it may stand in a header or in HTML: bytes that are special in either are escaped. */
export const safePath = (path: string): string =>
  path.replace(
    /[^!#$%&'()*+,./0-9:;=@A-Z[\]_a-z~?-]/g,
    (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  );
