import type { Script } from '../scripts/script.js';
import { replyCode } from './redis-errors.js';

type Words = readonly string[];

/** A connection on which scripts are run. */
export interface ScriptedConnection {
  readonly isUp: boolean;
  /** The sha1 of each script that the server has been given on it. */
  readonly scripts: Set<string>;
}

export const isUnknownScript = (error: unknown): boolean => replyCode(error) === 'NOSCRIPT';

const evalSha = ({ sha1 }: Script, keys: Words, args: Words): Words => [
  'EVALSHA', sha1, `${keys.length}`, ...keys, ...args,
]; // prettier-ignore

const evalSource = ({ source }: Script, keys: Words, args: Words): Words => [
  'EVAL', source, `${keys.length}`, ...keys, ...args,
]; // prettier-ignore

/**
 * The command that runs a script on a connection: with its source for the first time, whatever the server may know. So nothing has
 * to be sent again, after what was sent behind it.
 */
export function scriptWords({ isUp, scripts }: ScriptedConnection, script: Script, keys: Words, args: Words): Words {
  if (scripts.has(script.sha1)) return evalSha(script, keys, args);
  if (isUp) scripts.add(script.sha1);
  return evalSource(script, keys, args);
}

/** Runs a script on a connection of which is known what it was given, and again where the server has forgotten it: after SCRIPT FLUSH. */
export function runOn(
  connection: ScriptedConnection & { call(words: Words): Promise<unknown> },
  script: Script,
  keys: Words,
  args: Words,
): Promise<unknown> {
  return connection.call(scriptWords(connection, script, keys, args)).catch((error: unknown) => {
    // It may not have been read at all: LOADING, NOPERM.
    connection.scripts.delete(script.sha1);
    if (!isUnknownScript(error)) throw error;
    // Nor does the server know any other.
    connection.scripts.clear();
    return connection.call(scriptWords(connection, script, keys, args));
  });
}

/** Runs a script where it is not known which connection carries it: EVALSHA, and EVAL where the server does not know the script. */
export function runScript(
  call: (words: Words) => Promise<unknown>,
  script: Script,
  keys: Words,
  args: Words,
): Promise<unknown> {
  return call(evalSha(script, keys, args)).catch((error: unknown) => {
    if (!isUnknownScript(error)) throw error;
    return call(evalSource(script, keys, args));
  });
}
