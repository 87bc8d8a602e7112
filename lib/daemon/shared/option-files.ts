import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { ConfigError } from '../../common/errors.js';
import { show } from '../../common/shown.js';
import { toBytes, trimBytes } from '../../protocol/bytes.js';
import { LONG_LINE_CAP } from '../../protocol/limits.js';
import type { NameOfOption } from './http-options.js';

/** Whether a text can only be a file path. */
const isPath = (text: string): boolean => !/[\r\n]/.test(text) && (isAbsolute(text) || /^\.{1,2}[\\/]/.test(text));

/** What the options `tlsCert` and `tlsKey` name. @throws ConfigError */
export function tlsOf(
  cert: string | undefined,
  key: string | undefined,
  nameOf: NameOfOption,
): { readonly cert: Buffer; readonly key: Buffer } | undefined {
  if (!cert && !key) return undefined;
  if (!cert) throw new ConfigError(`${nameOf('tlsKey')} (${show(key)}) requires ${nameOf('tlsCert')}`);
  if (!key) throw new ConfigError(`${nameOf('tlsCert')} (${show(cert)}) requires ${nameOf('tlsKey')}`);
  return { cert: contentOf(nameOf('tlsCert'), cert), key: contentOf(nameOf('tlsKey'), key) };
}

/** The token, as bytes, trimmed. An empty one counts as none; a blank one is refused. @throws ConfigError */
export function tokenOf(token: string | undefined, file: string | undefined, nameOf: NameOfOption): string | undefined {
  if (token) return checkToken(nameOf('authToken'), toBytes(token));
  if (!file) return undefined;
  const option = nameOf('authTokenFile');
  return checkToken(option, contentOf(option, file).toString('latin1'));
}

function contentOf(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    // A text that is not a path may be the secret itself.
    if (!isPath(path)) throw new ConfigError(`${option}: cannot read the file: ${code}`);
    throw new ConfigError(`${option}: cannot read ${show(path)}: ${message}`, { cause: error });
  }
}

/** The value is a secret, so the messages do not show it. */
function checkToken(option: string, bytes: string): string {
  const token = trimBytes(bytes);
  if (token === '') throw new ConfigError(`${option} must not be blank`);
  if (/[\r\n]/.test(token)) throw new ConfigError(`${option} must not contain a line break`);
  if (token.length > LONG_LINE_CAP) {
    throw new ConfigError(`${option} must have at most ${LONG_LINE_CAP} bytes, has ${token.length}`);
  }
  return token;
}
