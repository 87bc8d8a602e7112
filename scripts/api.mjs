// Compares the public declarations of each entry with the record in test/api; with --write, updates the record. Types
// that an entry does not export, but its declarations name, are public too. Members marked @internal are not declared.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { ENTRIES } from './exports.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const isWriting = process.argv.includes('--write');
const scratch = mkdtempSync(join(tmpdir(), 'dflockd-api-'));
/** Declarations may refer to types that are not exported, or lack a release tag: other checks cover that. */
const SILENT = { logLevel: ExtractorLogLevel.None, addToApiReportFile: false };

/** Whether the record is up to date. */
function check(entry) {
  const reportFolder = join(root, 'test/api', entry, '..');
  mkdirSync(reportFolder, { recursive: true });
  const name = entry.split('/').at(-1);
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, 'dist/esm/entries', `${entry}.d.ts`),
      compiler: { tsconfigFilePath: join(root, 'tsconfig.json'), skipLibCheck: true },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder,
        reportTempFolder: join(scratch, entry),
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: SILENT },
        extractorMessageReporting: { default: SILENT },
        tsdocMessageReporting: { default: SILENT },
      },
    },
    configObjectFullPath: join(root, 'api-extractor.json'),
    packageJsonFullPath: join(root, 'package.json'),
  });
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: isWriting,
    messageCallback: (message) => {
      message.handled = true;
    },
  });
  return isWriting || !apiReportChanged;
}

const changed = ENTRIES.filter((entry) => !check(entry));
rmSync(scratch, { recursive: true, force: true });
if (changed.length > 0) {
  console.error(`The public declarations of ${changed.join(', ')} differ from test/api.`);
  console.error('If this is intended, run npm run check:api -- --write and describe the change in CHANGELOG.md.');
  process.exitCode = 1;
}
