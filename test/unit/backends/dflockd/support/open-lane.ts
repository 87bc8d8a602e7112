import { afterEach, expect } from '@jest/globals';
import { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import type { LaneContext, LaneHooks, Role } from '../../../../../lib/backends/dflockd/lanes/lane-context.js';
import { LockError } from '../../../../../lib/common/errors.js';
import type { Request } from '../../../../../lib/protocol/messages.js';
import { until } from '../../../../support/until.js';
import { fakeContext, type FakeContext } from './fake-context.js';
import { FakeServer, obliging, type Peer, type Script } from './fake-server.js';

/** A lane on virtual time, the scripted server behind it, and all that the lane tells. */
export class OpenLane {
  private constructor(
    readonly server: FakeServer,
    readonly context: FakeContext,
    readonly lane: Lane,
  ) {}

  /** Its lane is connecting. */
  static async dial(role: Role = 'command', script: Script = obliging, change: Partial<LaneContext> = {}) {
    const server = await FakeServer.start(script);
    // A wait lane proves its server with what it asks for.
    server.proves = role !== 'wait';
    const context = fakeContext(server, change);
    const hooks: LaneHooks<Lane> = {
      freed: () => context.log.push('freed'),
      doubted: () => context.log.push('doubted'),
      trusted: () => context.log.push('trusted'),
      ended: (_, error) => context.log.push(`ended ${error.message}`),
    };
    return new OpenLane(server, context, new Lane(role, context, hooks));
  }

  static async open(role: Role = 'command', script: Script = obliging, change: Partial<LaneContext> = {}) {
    const opened = await OpenLane.dial(role, script, change);
    await until(() => opened.lane.state !== 'connecting');
    return opened;
  }

  get peer(): Peer {
    return this.server.peers[0]!;
  }

  get said(): string[] {
    return this.peer.requests.map(({ t }) => t);
  }

  heard(count: number): Promise<unknown> {
    return until(() => this.said.length >= count, `${count} requests`);
  }

  /** What was sent has been answered. */
  answered(): Promise<unknown> {
    return until(() => this.lane.inFlight === 0, 'the answers');
  }

  ask(request: Request): Promise<unknown> {
    return new Promise((resolve) => this.lane.send(request, resolve));
  }

  /** Resolves with how many alarms are left. */
  async close(): Promise<number> {
    this.lane.end(new LockError('test over'));
    await this.server.close();
    return this.context.alarms.size;
  }
}

/** Makes a lane; see OpenLane. */
type Make = (role?: Role, script?: Script, change?: Partial<LaneContext>) => Promise<void>;

/**
 * Makes the lanes of tests, and checks after each test that closing its lane leaves nothing behind.
 *
 * @param use is told the lane that was made
 */
export function useLane(use: (opened: OpenLane) => void): { readonly open: Make; readonly dial: Make } {
  let opened: OpenLane;

  afterEach(async () => {
    expect(await opened.close()).toBe(0);
  });

  const using =
    (make: typeof OpenLane.open): Make =>
    async (...what) => {
      opened = await make(...what);
      use(opened);
    };
  return { open: using(OpenLane.open), dial: using(OpenLane.dial) };
}
