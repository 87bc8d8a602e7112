import { describe, expect, it } from '@jest/globals';
import { checkServer, isAtLeast, parseInfo } from '../../../../lib/backends/redis/drivers/server-info.js';

const info = (lines: Record<string, string>): ReturnType<typeof parseInfo> =>
  parseInfo(
    `# Server\r\n${Object.entries({ redis_version: '7.0.15', ...lines })
      .map(([k, v]) => `${k}:${v}`)
      .join('\r\n')}\r\n`,
  );

describe('INFO', () => {
  it('tells version, role, memory, replicas', () => {
    expect(
      info({ role: 'master', maxmemory: '1000', maxmemory_policy: 'noeviction', connected_slaves: '2', loading: '0' }),
    ).toEqual({
      version: '7.0.15',
      role: 'master',
      memoryPolicy: 'noeviction',
      maxMemory: 1000,
      connectedReplicas: 2,
      isLoading: false,
      isCluster: false,
    });
  });

  it('what a server leaves out is not known', () => {
    expect(parseInfo('')).toEqual({
      version: '',
      role: 'master',
      memoryPolicy: undefined,
      maxMemory: undefined,
      connectedReplicas: undefined,
      isLoading: false,
      isCluster: false,
    });
    expect(info({ async_loading: '1', redis_mode: 'cluster' })).toMatchObject({ isLoading: true, isCluster: true });
  });

  it.each([
    ['6.2.0', true],
    ['6.0.20', false],
    ['5.9', false],
    ['7.0', true],
    ['255.255.255', true],
    ['10.1.2', true],
    ['unknown', true],
  ])('%s is new enough: %s', (version, isEnough) => {
    expect(isAtLeast(version, 6, 2)).toBe(isEnough);
    if (isEnough) expect(checkServer(info({ redis_version: version }), 'db')).toEqual([]);
    else expect(() => checkServer(info({ redis_version: version }), 'db')).toThrow(/6\.2 or newer/);
  });

  it('a version is compared by its numbers, and those in front', () => {
    expect([isAtLeast('10.0.0', 7), isAtLeast('12.1', 11, 3), isAtLeast('6.12.1', 6, 2)]).toEqual([true, true, true]);
    expect([isAtLeast('6.9', 6, 10), isAtLeast('7.0', 10), isAtLeast('10.2', 11)]).toEqual([false, false, false]);
    // Not what stands behind: it is no version that is known.
    expect(isAtLeast('unstable 5.0', 6, 2)).toBe(true);
  });

  it('reads fields, and neither headers nor what is no number', () => {
    expect(parseInfo('# role:slave\nrole:master\n:role\nmaxmemory:1k\nconnected_slaves:x2\nloading:1')).toEqual({
      version: '',
      role: 'master',
      memoryPolicy: undefined,
      maxMemory: undefined,
      connectedReplicas: undefined,
      isLoading: true,
      isCluster: false,
    });
  });

  it('errors name the server', () => {
    const refusals: Record<string, string>[] = [{ redis_version: '5.0' }, { role: 'slave' }, { cluster_enabled: '1' }];
    for (const refusal of refusals) {
      let error: unknown;
      try {
        checkServer(info(refusal), 'db:1');
      } catch (refused) {
        error = refused;
      }
      expect(error).toMatchObject({ server: 'db:1' });
    }
  });

  it('a replica, and a node of a cluster for a client that knows no cluster, are refused', () => {
    expect(() => checkServer(info({ role: 'slave' }), 'db:1')).toThrow(/Redis at db:1 is a replica.*Sentinels/);
    expect(() => checkServer(info({ cluster_enabled: '1' }), 'db:1')).toThrow(/createCluster/);
    expect(checkServer(info({ cluster_enabled: '1' }), 'db:1', true)).toEqual([]);
  });

  it('each policy that evicts is warned of', () => {
    for (const policy of ['allkeys-lru', 'volatile-ttl', 'volatile-random']) {
      const [warning] = checkServer(info({ maxmemory_policy: policy, maxmemory: '1000' }), 'db:1');
      expect(warning).toContain(policy);
      expect(warning).not.toContain('maxmemory is 0');
    }
    expect(checkServer(info({ maxmemory_policy: 'allkeys-lru', maxmemory: '0' }), 'db:1')[0]).toContain(
      'maxmemory is 0',
    );
  });
});
