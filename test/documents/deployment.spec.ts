import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { DAEMON_FLAGS, daemonOptions } from '../../lib/cli/daemon-flags.js';
import { parseFlags, readEnv } from '../../lib/cli/flags.js';
import { resolveServerOptions } from '../../lib/daemon/shared/options.js';
import { compose, CONTAINERS, healthCheck, image, of, pod } from './deployment.js';

/** test/integration/daemon/command-line.spec.ts runs these commands. */
describe('the page on containers', () => {
  it.each(CONTAINERS)(
    'starts the daemon with flags and variables that it has, and waits for its end: $where',
    (container) => {
      const { args, env, graceS, ports } = container;
      expect(args[0]).toBe('daemon');
      const known = DAEMON_FLAGS.map((flag) => flag.env);
      expect(Object.keys(env).filter((name) => !known.includes(name))).toEqual([]);
      const options = daemonOptions(
        parseFlags(DAEMON_FLAGS, args.slice(1)),
        readEnv(DAEMON_FLAGS, env, () => {}),
      );
      const { host, port, shutdownTimeout } = resolveServerOptions({ ...options, authTokenFile: undefined });
      expect(host).toBe('0.0.0.0');
      expect(graceS).toBeGreaterThan(shutdownTimeout);
      expect(new Set([...ports, ...image.exposed])).toEqual(new Set([port]));
    },
  );

  it('makes an image of this version, with the command of the package', () => {
    const { version, bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string; bin: object };
    expect(image.version).toBe(version);
    expect(image.installs).toContain('nestjs-dflockd@${VERSION}');
    expect(image.entry.slice(0, 2)).toEqual(['node', `node_modules/nestjs-dflockd/${Object.values(bin)[0]}`]);
    expect(pod.containers[0].image).toBe(`registry.example.com/dflockd:${version}`);
    expect(healthCheck[0]).toBe('node');
  });

  it('runs one daemon, never two', () => {
    expect(of('StatefulSet').spec.replicas).toBe(1);
    expect(compose.services.dflockd.deploy?.replicas ?? 1).toBe(1);
  });

  it('leads from each part to the one it names', () => {
    const set = of('StatefulSet').spec;
    expect(of('Service').spec.selector).toEqual(set.template.metadata.labels);
    expect(set.selector.matchLabels).toEqual(set.template.metadata.labels);
    expect(set.serviceName).toBe(of('Service').metadata.name);
    const { args, volumeMounts } = pod.containers[0];
    const file = args[args.indexOf('--auth-token-file') + 1] as string;
    expect(file.startsWith(`${volumeMounts[0].mountPath}/`)).toBe(true);
    expect(volumeMounts[0].name).toBe(pod.volumes[0].name);
    expect(compose.services.dflockd.secrets).toEqual(Object.keys(compose.secrets));
    expect(compose.services.dflockd.command).toContain(`/run/secrets/${Object.keys(compose.secrets)[0]}`);
    expect(compose.services.app.environment.DFLOCKD_SERVERS).toBe(`dflockd:${image.exposed[0]}`);
  });
});
