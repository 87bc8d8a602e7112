import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const read = (path: string): string => readFileSync(path, 'utf8');
const filesIn = (folder: string, ending: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name).replaceAll('\\', '/'));

/** The comments of a source, each in one line. */
const commentsOf = (source: string): string[] =>
  [...source.matchAll(/\/\*[^]*?\*\/|(?<![:'"`])\/\/.*/g)].map(([text]) => text.replaceAll(/\s*\n\s*\*?\s*/g, ' '));

/** What comments say about a rule of the client or a section of the protocol, in whatever form. */
const REFERENCE = /\b(?:rules?|specs?|specification|sections?) \d[^)]*|§ ?\d[^)]*|\(\d+\.\d+(?:, [\d.]+)*\)/gi;
/** The form that `docs/architecture.md` explains. */
const USUAL = /\((rule|spec) (\d+(?:\.\d+)*(?:, \d+(?:\.\d+)*)*)\)/g;

const comments = filesIn('lib', '.ts').flatMap((file) => commentsOf(read(file)).map((text) => ({ file, text })));
const references = comments.flatMap(({ file, text }) =>
  [...text.matchAll(USUAL)].flatMap(([, to, numbers]) => numbers!.split(', ').map((number) => ({ file, to, number }))),
);

describe('references in the comments of lib', () => {
  it('are written as (rule 2) or (spec 4.1, 4.7)', () => {
    const others = comments.flatMap(({ file, text }) =>
      [...text.replaceAll(USUAL, '').matchAll(REFERENCE)].map(([found]) => `${file}: ${found}`),
    );
    expect(others).toEqual([]);
  });

  it.each([
    ['rule', 'docs/reliability.md', /^\| (\d+) \| /gm],
    ['spec', 'docs/protocol.md', /^#{2,3} (\d+(?:\.\d+)?)\.? /gm],
  ])('(%s N) are to something in %s', (kind, page, numbered) => {
    const known = [...read(page).matchAll(numbered)].map(([, number]) => number);
    const found = references.filter(({ to }) => to === kind);
    expect(
      found.filter(({ number }) => !known.includes(number)).map(({ file, number }) => `${file}: ${number}`),
    ).toEqual([]);
    // That they are found at all.
    expect(found.length).toBeGreaterThan(25);
  });
});

const MAP = ['docs/architecture.md', 'CONTRIBUTING.md', ...filesIn('docs/decisions', '.md')];
const links = MAP.flatMap((page) =>
  [...read(page).matchAll(/\[([^\]]+)\]\(([^)#]*)(?:#([^)]*))?\)/g)]
    .filter(([, , path]) => !/^https?:/.test(path!))
    .map(([, text, path, anchor]) => ({ page, text: text!, to: path ? join(dirname(page), path) : page, anchor })),
);

/** The anchors that GitHub gives the headings of a page. */
const anchorsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

describe('the map of the repository', () => {
  it.each(MAP)('%s links to what is there', (page) => {
    const broken = links
      .filter((link) => link.page === page)
      .filter(({ to, anchor }) => !existsSync(to) || (anchor && !anchorsOf(to).includes(anchor)));
    expect(broken).toEqual([]);
  });

  it('finds the names that it links to in the files that it names', () => {
    const named = links.flatMap(({ text, to }) => {
      const [, names] = /^`@?([\w.]+)(?:\(\))?`$/.exec(text) ?? [];
      return names && /\.(ts|mjs)$/.test(to) ? names.split('.').map((name) => ({ name, to })) : [];
    });
    expect(named.filter(({ name, to }) => !existsSync(to) || !new RegExp(`\\b${name}\\b`).test(read(to)))).toEqual([]);
    expect(named.length).toBeGreaterThan(100);
  });
});
