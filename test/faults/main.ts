import { parseArgs } from 'node:util';
import { runRound } from './lab/round.js';

const { values } = parseArgs({ options: { seed: { type: 'string', multiple: true }, ms: { type: 'string' } } });
for (const seed of values.seed ?? ['1']) {
  const began = performance.now();
  const result = await runRound(Number(seed), Number(values.ms ?? 6000));
  const { violations, holds, calls, lost, widestSilentNs, slowestCutNs } = result;
  console.log(
    `seed ${seed}: ${holds} holds, ${calls} calls, ${lost} lost, silent ${(widestSilentNs / 1e6).toFixed(1)}, cut ${(slowestCutNs / 1e6).toFixed(1)}, ${violations.length} violations, ${((performance.now() - began) / 1000).toFixed(1)} s`,
  );
  const kinds = new Map<string, number>();
  for (const { check } of violations) kinds.set(check, (kinds.get(check) ?? 0) + 1);
  console.log(kinds);
  for (const { check, at, text } of violations.slice(0, 8)) console.log(`  ${check} at ${at}: ${text}`);
  if (violations.length) process.exitCode = 1;
}
process.exit();
