import { blocksOf, readPage } from './pages.js';

const PAGE = 'docs/redis.md';

/**
 * A user of Redis with that password and the rights that docs/redis.md asks for.
 *
 * @param more rows of the table below them
 */
export function userOfPage(password: string, ...more: string[]): string {
  const line = blocksOf(PAGE)
    .find(({ code }) => code.startsWith('on resetkeys'))!
    .code.replaceAll('\n', ' ');
  const page = readPage(PAGE);
  const added = more.map((name) => new RegExp(`^\\| ${name} \\| \`(.*)\` \\|$`, 'm').exec(page)![1]!);
  return [line, ...added].join(' ').replaceAll('\\|', '|').replace(/^on/, `on >${password}`);
}
