import { EmbeddedBackend } from '../../lib/backends/embedded/embedded.js';
import { RemoteBackend } from '../../lib/backends/dflockd/remote.js';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import { resolveEmbedded } from '../../lib/backends/embedded/options.js';
import { resolveRemote } from '../../lib/backends/dflockd/options.js';
import { describeLockBackend, type Fixture } from './lock-backend.contract.js';
import { describeSignals } from './signals.contract.js';
import { eachRemote, type Servers } from './servers.js';

const reaching = ({ names, remote, facts, close }: Servers): Fixture => ({
  connect: () => new RemoteBackend(resolveRemote(names, remote), systemClock, systemEntropy),
  daemon: facts,
  places: remote.waitersPerKey ?? 2,
  close,
});

const { DFLOCKD_TEST_ADDR, DFLOCKD_TEST_LINE } = process.env;
const noSignalsIn = (name: string): boolean =>
  name.includes('1.10') || (DFLOCKD_TEST_LINE === '1.10' && name.includes(String(DFLOCKD_TEST_ADDR)));

const embedded = async (): Promise<Fixture> => {
  const backend = new EmbeddedBackend(resolveEmbedded(true), systemClock, systemEntropy);
  return { connect: () => backend, close: async () => undefined, places: Infinity };
};

const throughItsDoor = async (): Promise<Fixture> => {
  const inside = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), systemClock, systemEntropy);
  await inside.start();
  const { host, port } = inside.address!;
  return reaching({ names: [`${host}:${port}`], remote: {}, facts: {}, close: () => inside.close(1000) });
};

/** One inside, the others through the door. */
const bothSides = async (): Promise<Fixture> => {
  const inside = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), systemClock, systemEntropy);
  await inside.start();
  const { host, port } = inside.address!;
  const outside = reaching({ names: [`${host}:${port}`], remote: {}, facts: {}, close: () => inside.close(1000) });
  const sides = [inside];
  return { ...outside, connect: () => sides.pop() ?? outside.connect() };
};

eachRemote((name, servers, pace) => {
  describeLockBackend(name, async () => reaching(await servers()), pace);
  describeSignals(name, async () => reaching(await servers()), noSignalsIn(name));
});

describeLockBackend('embedded', embedded);
describeSignals('embedded', embedded);
describeLockBackend('embedded and through its door', throughItsDoor, 'quick');
describeSignals('embedded, from outside', throughItsDoor);
describeSignals('embedded, from inside and outside', bothSides);
