import { until } from '../until.js';
import { RedisServer, type RedisOptions } from './server.js';

export interface ClusterOptions extends RedisOptions {
  /** Each master has so many. Default: 0 */
  readonly replicas?: number;
  /** How long a node must be silent to be taken for dead. Default: 1000 */
  readonly nodeTimeoutMs?: number;
}

const SLOTS = 16_384;
const MASTERS = 3;
const PATIENCE_MS = 30_000;

/** Three masters with a third of the slots each, and their replicas. A start takes about two seconds: Redis waits. */
export class RedisCluster {
  private constructor(
    readonly masters: readonly RedisServer[],
    readonly replicas: readonly RedisServer[],
  ) {}

  static async start({ replicas = 0, nodeTimeoutMs = 1000, ...options }: ClusterOptions = {}): Promise<RedisCluster> {
    const secret = options.password === undefined ? [] : [`masterauth ${options.password}`];
    const config = [
      ...(options.config ?? []),
      ...secret,
      'cluster-enabled yes',
      `cluster-node-timeout ${nodeTimeoutMs}`,
      'cluster-replica-validity-factor 0',
    ];
    const starts = Array.from({ length: MASTERS * (1 + replicas) }, () => RedisServer.start({ ...options, config }));
    const nodes = (await Promise.allSettled(starts)).map((start) => start.status === 'fulfilled' && start.value);
    const started = nodes.filter((node) => node !== false);
    try {
      await Promise.all(starts);
      const cluster = new RedisCluster(started.slice(0, MASTERS), started.slice(MASTERS));
      await cluster.join();
      return cluster;
    } catch (error) {
      await Promise.all(started.map((node) => node.stop()));
      throw error;
    }
  }

  get nodes(): readonly RedisServer[] {
    return [...this.masters, ...this.replicas];
  }

  /** Where a client begins. */
  get addresses(): { host: string; port: number }[] {
    return this.nodes.map(({ host, port }) => ({ host, port }));
  }

  async slotOf(key: string): Promise<number> {
    return (await this.running().command('CLUSTER', 'KEYSLOT', key)) as number;
  }

  /** The master of the slot of `key`, as the first running node sees it. */
  async masterOf(key: string): Promise<RedisServer> {
    const slot = await this.slotOf(key);
    const ranges = (await this.running().command('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    const [, , [, port]] = ranges.find(([first, last]) => first <= slot && slot <= last)!;
    return this.nodes.find((node) => node.port === port)!;
  }

  /** Resolves with the new master of the slot of `key`, when all running nodes take writes again. */
  async failedOver(key: string, from: RedisServer): Promise<RedisServer> {
    return until(
      async () => {
        const master = await this.masterOf(key);
        return master !== from && (await this.isWhole()) ? master : undefined;
      },
      'the failover',
      PATIENCE_MS,
    );
  }

  /**
   * Moves the slot of `key` to another master, as `redis-cli --cluster reshard` does.
   * @param halfway called when the first of its keys has moved, and the rest has not
   */
  async migrate(key: string, halfway: () => unknown = () => undefined): Promise<RedisServer> {
    const slot = await this.slotOf(key);
    const from = await this.masterOf(key);
    const to = this.masters.find((node) => node !== from)!;
    const [source, target] = [await from.command('CLUSTER', 'MYID'), await to.command('CLUSTER', 'MYID')] as string[];
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source!);
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target!);
    const move = (name: string): Promise<unknown> => from.command('MIGRATE', to.host, to.port, name, 0, 5000);
    await move(key);
    await halfway();
    for (;;) {
      const names = (await from.command('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[];
      if (names.length === 0) break;
      for (const name of names) await move(name);
    }
    // The new owner first: until then it sends everybody back.
    const others = this.masters.filter((node) => node !== to);
    for (const node of [to, ...others]) await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', target!);
    return to;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  private running(): RedisServer {
    return this.nodes.find((node) => node.isRunning)!;
  }

  private async join(): Promise<void> {
    const [first, ...others] = this.nodes;
    const share = Math.ceil(SLOTS / MASTERS);
    await Promise.all(
      this.masters.map(async (node, i) => {
        await node.command('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
        const slots = Array.from({ length: share }, (_, slot) => i * share + slot).filter((slot) => slot < SLOTS);
        await node.command('CLUSTER', 'ADDSLOTS', ...slots);
      }),
    );
    await Promise.all(others.map((node) => node.command('CLUSTER', 'MEET', first!.host, first!.port)));
    await until(() => this.isWhole(), 'the nodes to know each other', PATIENCE_MS);
    await Promise.all(
      this.replicas.map(async (node, i) => {
        const master = await this.masters[i % MASTERS]!.command('CLUSTER', 'MYID');
        await until(async () => (await node.command('CLUSTER', 'REPLICATE', master as string)) === 'OK', 'the replica');
        await until(
          async () => (await node.info('master_link_status')) === 'up',
          'the link to the master',
          PATIENCE_MS,
        );
      }),
    );
    if (this.replicas.length > 0) await until(() => this.isWhole(), 'the cluster', PATIENCE_MS);
  }

  /** Whether all running nodes know all nodes, and who has which slots. */
  private async isWhole(): Promise<boolean> {
    const each = await Promise.all(
      this.nodes
        .filter((node) => node.isRunning)
        .map(async (node) => {
          const text = (await node.command('CLUSTER', 'INFO')) as string;
          const field = (name: string): string | undefined => new RegExp(`^${name}:(\\w+)`, 'm').exec(text)?.[1];
          return field('cluster_state') === 'ok' && field('cluster_known_nodes') === `${this.nodes.length}`;
        }),
    );
    return each.every(Boolean);
  }
}
