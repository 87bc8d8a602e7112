import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');

/** README and the pages that the package carries. Those on mutation testing are for developers of the package. */
export const PAGES: readonly string[] = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md') && !name.startsWith('mutation'))
    .map((name) => `docs/${name}`),
];

/** A fenced block of code on a page. */
export interface Block {
  readonly page: string;
  /** Of its fence. */
  readonly line: number;
  /** The word after the fence: `ts`, `bash`, … or empty. */
  readonly language: string;
  readonly code: string;
  /** What the HTML comment in front of it says. */
  readonly note: string;
}

const FENCE = /(?:<!-- (?<note>[^\n]*) -->\n+)?(?<indent> *)```(?<language>\w*)\n(?<code>.*?)^\k<indent>```$/gms;

export const readPage = (page: string): string => readFileSync(join(root, page), 'utf8');

export function blocksOf(page: string): Block[] {
  const text = readPage(page);
  return [...text.matchAll(FENCE)].map(({ index, 0: all, groups }) => {
    const { note = '', indent, language, code } = groups as Record<'note' | 'indent' | 'language' | 'code', string>;
    const fence = index + all.indexOf('```');
    return {
      page,
      line: text.slice(0, fence).split('\n').length,
      language,
      code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      note,
    };
  });
}

export const nameOf = ({ page, line }: Block): string => `${page}:${line}`;

/** All blocks in one of these languages. */
export const blocksIn = (...languages: string[]): Block[] =>
  PAGES.flatMap(blocksOf).filter(({ language }) => languages.includes(language));

/** What readers take from a block: of a diff, the lines that it adds. */
export const taken = ({ language, code }: Block): string =>
  language === 'diff' ? [...code.matchAll(/^\+(.*\n)/gm)].map(([, line]) => line).join('') : code;

/** Why a block is not run; `<!-- not run: … -->` before it says so. */
export const whyNotRun = ({ note }: Block): string | undefined => /^not run: (.+)$/.exec(note)?.[1];

/** Whether a block is run with a Postgres server of its own. */
export const needsPostgres = ({ code }: Block): boolean => code.includes('process.env.DATABASE_URL');

/** Whether a block is run with a redis-server of its own. */
export const needsRedis = ({ code }: Block): boolean => code.includes('127.0.0.1:6379');
