import { generate } from 'selfsigned';

/** A TLS key pair; the certificate is also the CA that clients trust. */
export interface Certificate {
  key: string;
  cert: string;
}

/** A fresh certificate for localhost, 127.0.0.1 and ::1. */
export async function selfSigned(commonName = 'localhost'): Promise<Certificate> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  });
  return { key, cert };
}
