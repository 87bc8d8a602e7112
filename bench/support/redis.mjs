// The redis-server for contestants. Where it is missing, Debian's is fetched.
export { provideRedis as findRedis } from '../../scripts/redis-server.mjs';
