// Projects as the command line of Nest 11 and 12 makes them (CommonJS with ts-jest; ESM with vitest), with a decorator of the
// project's own: built with declarations, and tested by the runner that the project came with.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { run } from './commands.mjs';

const sources = fileURLToPath(new URL('generated', import.meta.url));
const json = (path, value) => writeFileSync(path, JSON.stringify(value, undefined, 2));

const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];

/** Of what the project has for development, only what builds and tests it. `json`: how its runner reports. */
const KINDS = {
  11: {
    tools: ['typescript', 'jest', 'ts-jest', '@types/jest', '@types/node', '@nestjs/testing'],
    test: ['jest/bin/jest.js', '--json'],
    strict: false,
  },
  12: {
    tools: ['typescript', 'vitest', 'vite-tsconfig-paths', '@types/node', '@nestjs/testing'],
    test: ['vitest/vitest.mjs', 'run', '--reporter=json'],
    strict: true,
  },
};

/** The test of the project's own: in both runners `describe`, `it` and `expect` are global. */
const SPEC = `
import { Test } from '@nestjs/testing';
import { AppModule } from './app.module.js';
import { OrdersService } from './orders.service.js';

describe('OrdersService', () => {
  it('works on an order alone', async () => {
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    await module.init();
    const orders = module.get(OrdersService);
    const done = await Promise.all([orders.ship('7'), orders.cancel('7'), orders.ship('8')]);
    expect(done).toEqual(['shipped 7', 'cancelled 7', 'shipped 8']);
    await module.close();
  });
});
`;

/** @returns what has passed */
export async function checkGenerated(work, tarball, nest) {
  const { tools, test, strict } = KINDS[nest];
  const workshop = join(work, `generated-${nest}`);
  mkdirSync(workshop);
  json(join(workshop, 'package.json'), { name: 'workshop', private: true });
  await run(workshop, 'npm', ['install', ...quietly, `@nestjs/schematics@${nest}`]);
  await generate(workshop, strict);

  const folder = join(workshop, 'project');
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { devDependencies } = manifest;
  const missing = tools.filter((name) => !devDependencies[name]);
  if (missing.length > 0) throw new Error(`a project for Nest ${nest} is generated without ${missing.join(', ')}`);
  manifest.devDependencies = Object.fromEntries(tools.map((name) => [name, devDependencies[name]]));
  manifest.dependencies['nestjs-dflockd'] = tarball;
  json(join(folder, 'package.json'), manifest);
  await run(folder, 'npm', ['install', ...quietly]);

  addOrders(folder, nest);
  // As `nest build` does.
  await run(folder, process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
  const declared = readFileSync(join(folder, 'dist/order-lock.decorator.d.ts'), 'utf8');
  if (!declared.includes('LockDecorator')) throw new Error(`the decorator is declared otherwise: ${declared}`);
  const [runner, ...args] = test;
  const said = await run(folder, process.execPath, [join('node_modules', runner), ...args], { timeout: 120_000 });
  const { success, numPassedTests } = JSON.parse(said);
  // The one that is generated, and the one of ours.
  if (!success || numPassedTests !== 2) throw new Error(`${numPassedTests} tests have passed, not 2: ${said}`);
  return `${numPassedTests} tests passed`;
}

/** What `nest new` does, without the rest of the command line, which is large. */
async function generate(workshop, strict) {
  const { resolve } = createRequire(createRequire(join(workshop, 'package.json')).resolve('@nestjs/schematics'));
  const { NodeWorkflow } = await import(pathToFileURL(resolve('@angular-devkit/schematics/tools')));
  const workflow = new NodeWorkflow(workshop, { resolvePaths: [workshop] });
  const options = { name: 'project', language: 'ts', packageManager: 'npm', spec: true, strict };
  await new Promise((done, error) =>
    workflow
      .execute({ collection: '@nestjs/schematics', schematic: 'application', options })
      .subscribe({ error, complete: done }),
  );
}

function addOrders(folder, nest) {
  cpSync(sources, join(folder, 'src'), { recursive: true });
  writeFileSync(join(folder, 'src/orders.service.spec.ts'), SPEC);
  change(join(folder, 'src/app.module.ts'), (text) =>
    text
      .replace('imports: []', 'imports: [DflockdModule.forRoot({ embedded: true, logger: false })]')
      .replace('[AppService]', '[AppService, OrdersService]')
      .replace(
        '@Module',
        "import { DflockdModule } from 'nestjs-dflockd';\nimport { OrdersService } from './orders.service.js';\n\n@Module",
      ),
  );
  if (nest !== '11') return;
  // CommonJS, whose runner knows no `.js` for a `.ts`.
  for (const name of ['app.module', 'orders.service', 'orders.service.spec']) {
    change(join(folder, `src/${name}.ts`), (text) => text.replace(/(from '\.\/[^']+)\.js'/g, "$1'"));
  }
}

function change(path, how) {
  const before = readFileSync(path, 'utf8');
  const after = how(before);
  if (after === before) throw new Error(`${path} is not as expected:\n${before}`);
  writeFileSync(path, after);
}
