// The daemon of the build that is measured, with the options it has by default unless others are given.
import { answer } from '../support/child.mjs';

const { DflockdServer } = await import(process.argv[2]);
const server = new DflockdServer({ port: 0, ...JSON.parse(process.argv[3] ?? '{}') });

answer({ listen: () => server.listen() });
