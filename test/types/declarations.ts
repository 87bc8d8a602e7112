import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const ENTRIES = ['index', 'client', 'daemon', 'lockd', 'testing'];

/** What an entry of the package declares. */
export interface Declared {
  /** Types that a user meets and cannot name: how they are reached. */
  readonly unnamed: readonly string[];
  /** Optional members that refuse an explicit `undefined`. */
  readonly strict: readonly string[];
  /** How many types the entry exports. */
  readonly exported: number;
}

/** Reads the declarations as the build writes them, entry by entry. */
export async function readDeclarations(): Promise<Record<string, Declared>> {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-types-'));
  try {
    const manifest = createRequire(import.meta.url).resolve('@typescript/native/package.json');
    const args = ['-p', 'tsconfig.esm.json', '--emitDeclarationOnly', '--noCheck', '--outDir', folder];
    await promisify(execFile)(process.execPath, [join(dirname(manifest), 'bin/tsc'), ...args], { cwd: root });
    const paths = ENTRIES.map((entry) => join(folder, 'entries', `${entry}.d.ts`));
    // Only what the package itself declares is of interest: no library, no types of others.
    const program = ts.createProgram(paths, {
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      strict: true,
      noLib: true,
      types: [],
    });
    return Object.fromEntries(ENTRIES.map((entry, i) => [entry, new Entry(program, folder, paths[i]!).read()]));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A walk from the exports of an entry over everything that their declarations mention. */
class Entry {
  private readonly checker: ts.TypeChecker;
  private readonly exports: ReadonlySet<ts.Symbol>;
  private readonly unnamed: string[] = [];
  private readonly strict = new Set<string>();
  private readonly seen = new Set<ts.Symbol>();

  constructor(
    program: ts.Program,
    private readonly folder: string,
    path: string,
  ) {
    this.checker = program.getTypeChecker();
    const module = this.checker.getSymbolAtLocation(program.getSourceFile(path)!)!;
    this.exports = new Set(this.checker.getExportsOfModule(module).map((symbol) => this.origin(symbol)));
  }

  read(): Declared {
    for (const symbol of this.exports) this.visit(symbol, []);
    return { unnamed: this.unnamed, strict: [...this.strict], exported: this.exports.size };
  }

  private origin(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol;
  }

  private visit(symbol: ts.Symbol, way: readonly string[]): void {
    if (this.seen.has(symbol)) return;
    this.seen.add(symbol);
    const here = [...way, symbol.name];
    // A value has a type, and only that has to have a name.
    const isType = (symbol.flags & ts.SymbolFlags.Type) !== 0;
    if (isType && !this.exports.has(symbol)) this.unnamed.push(here.join(' > '));
    for (const declaration of symbol.declarations ?? []) this.walk(declaration, here);
  }

  private walk(node: ts.Node, way: readonly string[]): void {
    const modifiers = ts.canHaveModifiers(node) ? ts.getModifiers(node) : undefined;
    if (modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword)) return;
    if (ts.isPropertySignature(node) && node.questionToken && !mayBeUndefined(node.type)) {
      this.strict.add(`${way.at(-1)}: ${node.getText()}`);
    }
    if (ts.isIdentifier(node)) {
      const named = this.checker.getSymbolAtLocation(node);
      const symbol = named && this.origin(named);
      if (symbol?.declarations?.some((declaration) => this.isOurs(declaration))) this.visit(symbol, way);
    }
    ts.forEachChild(node, (child) => this.walk(child, way));
  }

  /** Whether it stands by itself in a file of the package. */
  private isOurs(declaration: ts.Declaration): boolean {
    const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
    return ts.isSourceFile(statement.parent) && statement.getSourceFile().fileName.startsWith(this.folder);
  }
}

function mayBeUndefined(type: ts.TypeNode | undefined): boolean {
  if (!type) return true;
  if (ts.isUnionTypeNode(type)) return type.types.some(mayBeUndefined);
  const { AnyKeyword, UndefinedKeyword, UnknownKeyword } = ts.SyntaxKind;
  return [AnyKeyword, UndefinedKeyword, UnknownKeyword].includes(type.kind);
}
