// @ts-expect-error -- comes without types
import yaml from 'js-yaml';
import { blocksOf } from './pages.js';

/** How the page on containers starts, watches and stops the daemon. */
export interface Container {
  readonly where: string;
  /** After `nestjs-dflockd`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly graceS: number;
  /** The ports that are published, and those that are asked. */
  readonly ports: readonly number[];
}

const page = 'docs/deployment.md';
const [dockerfile] = blocksOf(page).filter(({ language }) => language === 'dockerfile');
const documents = blocksOf(page)
  .filter(({ language }) => language === 'yaml')
  .flatMap(({ code }) => yaml.safeLoadAll(code) as Record<string, any>[]);

const instruction = (name: string): string[] =>
  [...dockerfile!.code.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, rest]) => rest!);

export const image = {
  entry: JSON.parse(instruction('ENTRYPOINT')[0]!) as string[],
  env: Object.fromEntries(instruction('ENV').map((pair) => pair.split('='))) as Record<string, string>,
  exposed: instruction('EXPOSE').map(Number),
  version: /VERSION=(.*)/.exec(instruction('ARG')[0]!)![1]!,
  installs: instruction('RUN').join('\n'),
};
const command = image.entry.slice(2);

export const compose = documents.find((document) => 'services' in document)!;
export const of = (kind: string): Record<string, any> => documents.find((document) => document.kind === kind)!;
export const pod = of('StatefulSet').spec.template.spec as Record<string, any>;
const [container] = pod.containers as Record<string, any>[];

/** The command that the health check of the compose file runs. */
export const healthCheck = (compose.services.dflockd.healthcheck.test as string[]).slice(1);

const named = (port: string | number): number =>
  typeof port === 'number'
    ? port
    : (container!.ports as { name: string; containerPort: number }[]).find(({ name }) => name === port)!.containerPort;

export const CONTAINERS: readonly Container[] = [
  {
    where: 'Docker Compose',
    args: [...command, ...(compose.services.dflockd.command as string[])],
    env: image.env,
    graceS: parseInt(compose.services.dflockd.stop_grace_period as string, 10),
    ports: [Number(/connect\((\d+)/.exec(healthCheck.join(' '))![1])],
  },
  {
    where: 'Kubernetes',
    args: [...command, ...(container!.args as string[])],
    env: image.env,
    graceS: pod.terminationGracePeriodSeconds as number,
    ports: [
      ...['startupProbe', 'readinessProbe', 'livenessProbe'].map((probe) => named(container![probe].tcpSocket.port)),
      ...(of('Service').spec.ports as { port: number; targetPort: string }[]).flatMap(({ port, targetPort }) => [
        port,
        named(targetPort),
      ]),
    ],
  },
];
