import { beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Where each file of a published package is found by the package's name. */
const PUBLISHED = 'https://unpkg.com/nestjs-dflockd/';

const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');
const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '');

const targetsIn = (path: string): string[] =>
  [...withoutCode(textOf(path)).matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)|(?:src|href)="([^"]+)"/gm)].map(
    ([, inline, reference, html]) => (inline ?? reference ?? html)!,
  );

/** The anchors of a page's headings, as git hosts and npm make them. */
function anchorsOf(path: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of withoutCode(textOf(path)).matchAll(/^#{1,6} +(.+)$/gm)) {
    const text = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-');
    let name = anchor;
    for (let i = 1; anchors.has(name); i++) name = `${anchor}-${i}`;
    anchors.add(name);
  }
  return anchors;
}

/** Why a link of a page leads nowhere; undefined if it leads somewhere. */
function faultOf(page: string, target: string, files: ReadonlySet<string>): string | undefined {
  const isPublished = target.startsWith(PUBLISHED);
  if (!isPublished && /^[a-z]+:/.test(target)) return undefined;
  const [path, anchor] = (isPublished ? target.slice(PUBLISHED.length) : target).split('#');
  const file = isPublished ? path! : path === '' ? page : posix.join(posix.dirname(page), path!);
  if (!files.has(file)) return `${target}: the package has no file ${file}`;
  if (anchor && !anchorsOf(file).has(anchor)) return `${target}: ${file} has no such heading`;
  return undefined;
}

describe('the pages in the package', () => {
  let files: ReadonlySet<string>;
  let pages: string[];

  beforeAll(async () => {
    const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
    });
    // npm before 12 prints an array, later ones an object by name.
    const [packed] = Object.values(JSON.parse(stdout) as Record<string, { files: { path: string }[] }>);
    files = new Set(packed!.files.map(({ path }) => path));
    pages = [...files].filter((path) => path.endsWith('.md'));
  }, 60_000);

  it('are those that a reader needs', () => {
    expect(pages).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'docs/nest.md', 'docs/operations.md']));
    expect(pages.length).toBeGreaterThan(12);
  });

  it('link to files in the package, and to headings that exist', () => {
    const all = pages.flatMap((page) => targetsIn(page).map((target) => ({ page, target })));
    expect(all.length).toBeGreaterThan(40);
    const faults = all.flatMap(({ page, target }) => faultOf(page, target, files)?.replace(/^/, `${page}: `) ?? []);
    expect(faults).toEqual([]);
  });

  // npm knows no address for them: a relative link would need the field `repository`, which only the owner can fill.
  it(`are linked to from the README as ${PUBLISHED}docs/…, which leads there from npm too`, () => {
    expect(targetsIn('README.md').filter((target) => !/^(#|https:)/.test(target))).toEqual([]);
  });

  it('and all others link to what exists', () => {
    const all = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
    const rest = ['CONTRIBUTING.md', ...all.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
    const others = rest.filter((page) => !files.has(page));
    expect(others.length).toBeGreaterThan(8);
    const dead = others.flatMap((page) =>
      targetsIn(page)
        .map((target) => ({ page, path: target.split('#')[0]! }))
        .filter(({ path }) => path !== '' && !/^[a-z]+:/.test(path))
        .filter(({ path }) => !existsSync(join(root, posix.dirname(page), path))),
    );
    expect(dead).toEqual([]);
  });
});
