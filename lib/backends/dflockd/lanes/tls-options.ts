import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { ConfigError } from '../../../common/errors.js';
import { withoutValues } from '../../../common/shown.js';
import type { Endpoint } from './config.js';
import { Wire } from './wire.js';

/**
 * Opens a connection with the option `remote.tls`. Node checks the options (certificates, keys, versions) when it makes the socket, not before.
 * @throws ConfigError for TLS options that Node refuses
 */
export function dialTls({ host, port, label }: Endpoint, tls: ConnectionOptions): Wire {
  const servername = isIP(host) ? undefined : { servername: host };
  try {
    return new Wire(host, port, { ...servername, minVersion: 'TLSv1.2', ...tls });
  } catch (thrown) {
    const error = withoutValues(thrown);
    throw new ConfigError(`option remote.tls: ${error.message}`, { cause: error, server: label });
  }
}

/** TLS failed because of the certificate, or because the port does not speak TLS. Retrying does not help. */
export const isTlsRefusal = (code: string): boolean =>
  /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_OSSL)/.test(code) || code === 'EPROTO';
