// Runs programs.
import { execFile } from 'node:child_process';

/** Resolves with what the program printed; rejects, with its whole output, if it fails or does not exit in time. */
export function run(cwd, command, args, { env = {}, timeout = 300_000 } = {}) {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, env: { ...process.env, ...env }, timeout }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout.trim());
      const why = error.killed ? `has not ended within ${timeout / 1000} s` : `failed (${error.code})`;
      reject(new Error(`${command} ${args.join(' ')} ${why}\n${stdout}${stderr}`));
    });
  });
}

/** Runs up to `width` at a time. */
export async function forAll(items, width, work) {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let next = queue.shift(); next; next = queue.shift()) await work(next);
    }),
  );
}
