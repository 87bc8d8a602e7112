// The daemon of the measured build, with its default options unless others are given.
import { answer } from '../support/child.mjs';

const { DflockdServer } = await import(process.argv[2]);
const server = new DflockdServer({ port: 0, ...JSON.parse(process.argv[3] ?? '{}') });

answer({ listen: () => server.listen() });
