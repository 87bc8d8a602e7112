import * as runtime from '@prisma/client/runtime/client';

/** What a client of Prisma is given of a schema. Only its types are generated; the client itself is in the package. */
type Config = Parameters<typeof runtime.getPrismaClient>[0];

/**
 * What `prisma generate` writes for a schema with one table. The command wants to download an engine, which clients with a
 * driver adapter do not need.
 */
const config: Config = {
  previewFeatures: [],
  clientVersion: '7.10.0',
  engineVersion: '0',
  activeProvider: 'postgresql',
  inlineSchema: 'datasource db { provider = "postgresql" } model Account { id Int @id balance Int }',
  runtimeDataModel: {
    models: {
      Account: {
        fields: [
          { name: 'id', kind: 'scalar', type: 'Int' },
          { name: 'balance', kind: 'scalar', type: 'Int' },
        ],
        dbName: null,
        schema: null,
      },
    },
    enums: {},
    types: {},
  } as unknown as Config['runtimeDataModel'],
  parameterizationSchema: {
    strings:
      'where Account.findUnique Account.findUniqueOrThrow orderBy cursor Account.findFirst Account.findFirstOrThrow Account.findMany data Account.createOne Account.createMany Account.createManyAndReturn Account.updateOne Account.updateMany Account.updateManyAndReturn create update Account.upsertOne Account.deleteOne Account.deleteMany having _count _avg _sum _min _max Account.groupBy Account.aggregate AND OR NOT id balance equals in notIn lt lte gt gte not set increment decrement multiply divide'.split(
        ' ',
      ),
    graph:
      'JgsQBRwAAB8AMB0AAAQAEB4AAB8AMB8CAAAAASACACAAIQEAAAABACABAAAAAQAgBRwAAB8AMB0AAAQAEB4AAB8AMB8CACAAISACACAAIQADAAAABAAgAwAABQAwBAAAAQAgAwAAAAQAIAMAAAUAMAQAAAEAIAMAAAAEACADAAAFADAEAAABACACHwIAAAABIAIAAAABAQgAAAkAIAIfAgAAAAEgAgAAAAEBCAAACwAwAQgAAAsAMAIfAgAmACEgAgAmACECAAAAAQAgCAAADgAgAh8CACYAISACACYAIQIAAAAEACAIAAAQACACAAAABAAgCAAAEAAgAwAAAAEAIA8AAAkAIBAAAA4AIAEAAAABACABAAAABAAgBRUAACEAIBYAACIAIBcAACUAIBgAACQAIBkAACMAIAUcAAAaADAdAAAXABAeAAAaADAfAgAbACEgAgAbACEDAAAABAAgAwAAFgAwFAAAFwAgAwAAAAQAIAMAAAUAMAQAAAEAIAUcAAAaADAdAAAXABAeAAAaADAfAgAbACEgAgAbACENFQAAHQAgFgAAHgAgFwAAHQAgGAAAHQAgGQAAHQAgIQIAAAABIgIAAAAEIwIAAAAEJAIAAAABJQIAAAABJgIAAAABJwIAAAABKAIAHAAhDRUAAB0AIBYAAB4AIBcAAB0AIBgAAB0AIBkAAB0AICECAAAAASICAAAABCMCAAAABCQCAAAAASUCAAAAASYCAAAAAScCAAAAASgCABwAIQghAgAAAAEiAgAAAAQjAgAAAAQkAgAAAAElAgAAAAEmAgAAAAEnAgAAAAEoAgAdACEIIQgAAAABIggAAAAEIwgAAAAEJAgAAAABJQgAAAABJggAAAABJwgAAAABKAgAHgAhBRwAAB8AMB0AAAQAEB4AAB8AMB8CACAAISACACAAIQghAgAAAAEiAgAAAAQjAgAAAAQkAgAAAAElAgAAAAEmAgAAAAEnAgAAAAEoAgAdACEAAAAAAAUpAgAAAAEqAgAAAAErAgAAAAEsAgAAAAEtAgAAAAEAAAAABRUABhYABxcACBgACRkACgAAAAAABRUABhYABxcACBgACRkACgECAQIDAQUGAQYHAQcIAQkKAQoMAgsNAwwPAQ0RAg4SBBETARIUARMVAhoYBRsZCw',
  },
  compilerWasm: {
    getRuntime: () => runtimeFile('mjs'),
    getQueryCompilerWasmModule: async () => {
      const { wasm } = await runtimeFile('wasm-base64.mjs');
      return new (globalThis as any).WebAssembly.Module(Buffer.from(wasm, 'base64'));
    },
    importName: './query_compiler_fast_bg.js',
  },
};

/** They have no types. */
const runtimeFile = (end: string): Promise<any> =>
  import(`@prisma/client/runtime/query_compiler_fast_bg.postgresql.${end}`);

export const PrismaClient = runtime.getPrismaClient(config);
