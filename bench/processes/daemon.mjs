// The daemon of the build that is measured, with the options it has by default.
import { answer } from '../support/child.mjs';

const { DflockdServer } = await import(process.argv[2]);
const server = new DflockdServer({ port: 0 });

answer({ listen: () => server.listen() });
