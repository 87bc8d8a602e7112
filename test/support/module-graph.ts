import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';

export interface Import {
  /** As written: a package, or a file relative to this one. */
  readonly source: string;
  /** The file of lib that is meant, without its ending; undefined for a package. */
  readonly file: string | undefined;
  /** Nothing is left of it in JavaScript. */
  readonly isType: boolean;
  /** Loaded when it is first needed: `import()`. */
  readonly isLate?: true;
}

/** What each file of lib imports; files are named by their path under lib, without their ending. */
export type ModuleGraph = ReadonlyMap<string, readonly Import[]>;

export function readModuleGraph(lib = 'lib'): ModuleGraph {
  const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return new Map(
    files.map((name) => {
      const path = name.replaceAll('\\', '/').replace(/\.ts$/, '');
      const text = ts.createSourceFile(name, readFileSync(join(lib, name), 'utf8'), ts.ScriptTarget.ES2022);
      return [path, importsOf(text).map((one) => ({ ...one, file: fileOf(path, one.source) }))];
    }),
  );
}

/** What is loaded with a file: all that it reaches by imports of values; packages only if they are not loaded later. */
export function reached(graph: ModuleGraph, from: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set([from]);
  const packages = new Set<string>();
  for (const file of files) {
    for (const one of graph.get(file) ?? []) {
      if (one.isType) continue;
      if (one.file !== undefined) files.add(one.file);
      else if (!one.isLate) packages.add(one.source);
    }
  }
  return { files, packages };
}

/** Files that reach each other, by Tarjan's algorithm; one that reaches only itself is left out. */
export function cyclesIn(graph: ModuleGraph, withTypes: boolean): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const path: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    low.set(file, index.get(file)!);
    path.push(file);
    for (const { file: next, isType } of graph.get(file) ?? []) {
      if (next === undefined || (isType && !withTypes)) continue;
      if (!index.has(next)) visit(next);
      if (path.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== index.get(file)) return;
    const cycle = path.splice(path.indexOf(file));
    if (cycle.length > 1) found.push(cycle.sort());
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return found;
}

const fileOf = (importer: string, source: string): string | undefined =>
  source.startsWith('.') ? posix.join(posix.dirname(importer), source).replace(/\.js$/, '') : undefined;

function importsOf(text: ts.SourceFile): Omit<Import, 'file'>[] {
  const found: Omit<Import, 'file'>[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const { importClause, moduleSpecifier } = node;
      const names = importClause?.namedBindings;
      const allTypes =
        names !== undefined && ts.isNamedImports(names) && names.elements.every(({ isTypeOnly }) => isTypeOnly);
      const isType = importClause !== undefined && (importClause.isTypeOnly || (allTypes && !importClause.name));
      found.push({ source: (moduleSpecifier as ts.StringLiteral).text, isType });
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      found.push({ source: (node.moduleSpecifier as ts.StringLiteral).text, isType: node.isTypeOnly });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      found.push({ source: (node.argument.literal as ts.StringLiteral).text, isType: true });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [source] = node.arguments;
      if (source && ts.isStringLiteral(source)) found.push({ source: source.text, isType: false, isLate: true });
    }
    ts.forEachChild(node, visit);
  };
  visit(text);
  return found;
}
