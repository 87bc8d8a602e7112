/** `nestjs-dflockd/testing/backend`: what every backend promises, as tests, for the authors of backends. */
export { type BackendWorld, describeBackend, type TestRunner } from '../../testing/backend/describe-backend.js';
