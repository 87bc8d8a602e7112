/** `nestjs-dflockd/testing/backend`: a contract suite for authors of backends. */
export { type BackendWorld, describeBackend, type TestRunner } from '../../testing/backend/describe-backend.js';
