import { parseSync, type ClassMember, type ModuleItem, type Pattern } from '@swc/core';
import { nameOf, taken, type Block } from './pages.js';

/** What examples use without importing it, by where it comes from; what an example declares itself is its own. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'nestjs-dflockd': [
    'AcquireTimeoutError',
    'CronLock',
    'DflockdModule',
    'DflockdService',
    'DflockdSignals',
    'InjectDflockd',
    'LockRequest',
    'WithLock',
    'currentLock',
    'getDflockdToken',
    'lockKey',
    'type LockHandle',
  ],
  'nestjs-dflockd/daemon': ['DflockdServer'],
  'nestjs-dflockd/testing': ['TestLocks', 'attachLocks'],
  '@jest/globals': ['expect', 'jest'],
  '@nestjs/common': [
    'Body',
    'Controller',
    'Get',
    'Injectable',
    'Module',
    'Param',
    'ParseUUIDPipe',
    'Post',
    'Req',
    'Res',
    'UseGuards',
    'UseInterceptors',
  ],
  '@nestjs/core': ['NestFactory'],
  '@nestjs/schedule': ['Cron', 'Interval', 'Timeout'],
  rxjs: ['type Observable', 'interval', 'of'],
};

/** What the application of the reader has; see reader.ts. */
const READER = [
  'AppModule',
  'LoggedIn',
  'OrderService',
  'Orders',
  'Transactional',
  'app',
  'balance',
  'bytes',
  'call',
  'cleanUp',
  'dataSource',
  'db',
  'fn',
  'id',
  'lock',
  'locks',
  'parts',
  'prepare',
  'repository',
  'task',
  'userOf',
  'work',
  'write',
] as const;
const READER_TYPES = ['Order', 'Report', 'RequestWithSignal', 'Response'];

/** A class of an example, and how its methods are called. */
export interface ExampleClass {
  readonly name: string;
  readonly methods: readonly { readonly name: string; readonly parameters: readonly string[] }[];
}

/** A block of a page as a module. */
export interface Example {
  readonly name: string;
  readonly source: string;
  readonly classes: readonly ExampleClass[];
  /** What it declares on its top level. */
  readonly declared: readonly string[];
  /** Functions that it exports, and the names of their parameters. */
  readonly functions: ExampleClass['methods'];
  /** What it declares as being there: `declare const accounts: …`. */
  readonly ambient: readonly string[];
}

/** @throws Error naming the page and the line, if the block is neither a module nor members of a class */
export function exampleOf(block: Block): Example {
  const code = checkClaims(taken(block).replaceAll(/^\s*…$/gm, ''));
  // Of decorators without a class, the parser may make one of the statement behind them.
  const isModule = !/^@/.test(code) || /^(export )?(abstract )?class /m.test(code);
  const source = isModule ? code : classOf(code);
  try {
    const { body } = parseSync(source, { syntax: 'typescript', decorators: true, target: 'es2022' });
    return complete(block, source, body);
  } catch (cause) {
    throw new Error(`${nameOf(block)} is no TypeScript`, { cause });
  }
}

/** Members of a class: methods, or decorators of which each stands for a method of its own. */
function classOf(members: string): string {
  let methods = 0;
  const paragraphs = members.split(/\n\s*\n/).map((paragraph) => {
    const lines = paragraph.split('\n').filter((line) => line.trim() !== '');
    if (!lines.every((line) => line.startsWith('@'))) return paragraph;
    return lines.map((line) => `${line}\n${method(line, methods++)}`).join('\n');
  });
  const type = /^@(Get|Post|LockRequest)\(/m.test(members) ? `@Controller('example')` : '@Injectable()';
  const own = /\bthis\.(parts|locks)\b/.test(members) && !/\bconstructor\(/.test(members);
  const fields = own ? 'constructor(readonly locks: DflockdService) {}\nparts = async () => parts;\n' : '';
  return `${type}\nexport class Example {\n${fields}${paragraphs.join('\n\n')}\n}`;
}

/** For a decorator without a method. */
function method(decorator: string, index: number): string {
  if (decorator.startsWith('@LockRequest')) return `@Get('${index}') request${index}(): string { return 'done'; }`;
  const [how, result] = decorator.includes(`returns: 'observable'`) ? ['', `of('done')`] : ['async ', `'done'`];
  const first = /\{0\.\w/.test(decorator) ? 'order' : 'id';
  const second = /\{1\.\w/.test(decorator) ? 'other' : /\{1\}/.test(decorator) ? 'to' : 'at';
  return `${how}example${index}(${first}: any, ${second}: any): ${how ? 'Promise<any>' : 'Observable<any>'} { return ${result}; }`;
}

/** `await …; // NestedLockError` says what is thrown, and `// null` what it comes to: both are made sure of. */
function checkClaims(code: string): string {
  return code
    .replaceAll(
      /^( *)await (.*); +\/\/ (?:throws )?([A-Z]\w*Error)\b.*$/gm,
      `$1await $2.then(() => { throw new Error('$3 was not thrown'); }, (e: Error) => { if (e.name !== '$3') throw e; });`,
    )
    .replaceAll(/^( *)await (.*); +\/\/ null\b.*$/gm, `$1if ((await $2) !== null) throw new Error('it is not null');`);
}

function complete(block: Block, code: string, items: ModuleItem[]): Example {
  const exported = new Set<object>();
  for (const item of items) if (item.type === 'ExportDeclaration') exported.add(item.declaration);
  const declarations = items.map((item) => (item.type === 'ExportDeclaration' ? item.declaration : item));
  const imported: string[] = [];
  const declared: string[] = [];
  const ambient: string[] = [];
  const classes: ExampleClass[] = [];
  const functions: ExampleClass['methods'][number][] = [];
  for (const item of declarations) {
    if (item.type === 'ImportDeclaration') imported.push(...item.specifiers.map(({ local }) => local.value));
    else if (item.type === 'ClassDeclaration') {
      declared.push(item.identifier.value);
      if (!item.isAbstract) classes.push({ name: item.identifier.value, methods: item.body.flatMap(methodOf) });
    } else if (item.type === 'FunctionDeclaration') {
      const { value: name } = item.identifier;
      (item.declare ? ambient : declared).push(name);
      if (exported.has(item)) functions.push({ name, parameters: item.params.flatMap(({ pat }) => namesIn(pat)) });
    } else if (item.type === 'TsInterfaceDeclaration' || item.type === 'TsTypeAliasDeclaration') {
      imported.push(item.id.value);
    } else if (item.type === 'VariableDeclaration') {
      const names = item.declarations.flatMap(({ id }) => namesIn(id));
      (item.declare ? ambient : declared).push(...names);
    }
  }
  const isFree = (name: string): boolean =>
    new RegExp(`(?<![\\w$.'"\`-])${name}\\b`).test(code) && ![...imported, ...declared, ...ambient].includes(name);
  const imports = Object.entries(PACKAGES).map(([from, names]) => {
    const used = names.filter((name) => isFree(name.replace('type ', '')));
    return used.length > 0 ? `import { ${used.join(', ')} } from '${from}';\n` : '';
  });
  const types = READER_TYPES.filter(isFree).map((name) => `type ${name}`);
  const values = READER.filter(isFree);
  const source = [
    ...imports,
    `import { ${['reader', ...types].join(', ')} } from '../documents/reader.js';\n`,
    values.length > 0 ? `const { ${values.join(', ')} } = reader;\n` : '',
    code,
    '\nexport {};\n',
  ].join('');
  return { name: nameOf(block), source, classes, functions, declared, ambient };
}

const namesIn = (pattern: Pattern): string[] => {
  if (pattern.type === 'Identifier') return [pattern.value];
  if (pattern.type === 'ArrayPattern') return pattern.elements.flatMap((element) => (element ? namesIn(element) : []));
  if (pattern.type !== 'ObjectPattern') return [];
  return pattern.properties.flatMap((property) => {
    if (property.type === 'KeyValuePatternProperty') return namesIn(property.value);
    return property.type === 'AssignmentPatternProperty' ? [property.key.value] : [];
  });
};

function methodOf(member: ClassMember): ExampleClass['methods'][number][] {
  if (member.type !== 'ClassMethod' || member.isStatic || member.key.type !== 'Identifier') return [];
  const parameters = member.function.params.flatMap(({ pat }) => namesIn(pat));
  return [{ name: member.key.value, parameters }];
}
