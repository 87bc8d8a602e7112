// The daemon of the measured build. Its options are the defaults unless others are given, except that connections may be silent:
// bare connections do not ping, and wait while others are measured.
import { answer } from '../support/child.mjs';

const { DflockdServer } = await import(process.argv[2]);
const server = new DflockdServer({ port: 0, readTimeout: 3600, ...JSON.parse(process.argv[3] ?? '{}') });

answer({ listen: () => server.listen() });
