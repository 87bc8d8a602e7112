import { Injectable, type Type } from '@nestjs/common';
import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { CommandHandler, EventsHandler, QueryHandler } from '@nestjs/cqrs';
import { OnEvent } from '@nestjs/event-emitter';
import { Cron, Interval, Timeout } from '@nestjs/schedule';
import type { Job } from 'bullmq';
import { WithLock } from '../../../lib/entries/index.js';
import type { Seen } from './messages.js';
import { held, SCOPES, stack, type Position, type ScopeName } from './stack.js';

const locked = (position: Position, key: string, ...others: MethodDecorator[]) =>
  stack(position, WithLock(key, { onBusy: 'skip' } as object) as MethodDecorator, ...others);

/** Jobs of @nestjs/schedule; the clock fires intervals and timeouts, the test the cron job. */
export function scheduledJobs(position: Position, seen: Seen): Type {
  @Injectable()
  class Jobs {
    @locked(position, 'cron', Cron('0 0 1 1 *', { name: `cron.${position}` }))
    async cron(): Promise<void> {
      seen.lines.push(`cron ${position} ${held()}`);
    }

    @locked(position, 'interval', Interval(`interval.${position}`, 5))
    async interval(): Promise<void> {
      seen.lines.push(`interval ${position} ${held()}`);
    }

    @locked(position, 'timeout', Timeout(`timeout.${position}`, 5))
    async timeout(): Promise<void> {
      seen.lines.push(`timeout ${position} ${held()}`);
    }
  }
  return Jobs;
}

export function listener(position: Position, scope: ScopeName, seen: Seen): Type {
  @Injectable(SCOPES[scope])
  class Listener {
    @locked(position, 'event:{0.id}', OnEvent(`event.${position}.${scope}`))
    async on(_event: { id: string }): Promise<void> {
      seen.lines.push(`${position} ${scope} ${held()}`);
    }
  }
  return Listener;
}

export const queueName = (scope: ScopeName) => `queue-${scope}`;

/** BullMQ calls `process` by its name; there is nothing that could stand above or below. */
export function processor(scope: ScopeName, seen: Seen): Type {
  @Processor({ name: queueName(scope), ...SCOPES[scope] })
  class Worker extends WorkerHost {
    @WithLock('job:{0.data.id}')
    override async process(_job: Job<{ id: string }>): Promise<string> {
      return held();
    }
  }
  if (scope !== 'singleton') return Worker;

  @Processor({ name: queueName(scope) })
  class Observed extends Worker {
    @OnWorkerEvent('completed')
    @WithLock('completed:{0.data.id}')
    async above(_job: Job<{ id: string }>): Promise<void> {
      seen.lines.push(`below ${held()}`);
    }

    @WithLock('completed-too:{0.data.id}')
    @OnWorkerEvent('completed')
    async below(_job: Job<{ id: string }>): Promise<void> {
      seen.lines.push(`above ${held()}`);
    }
  }
  return Observed;
}

export const SKIPPED_QUEUE = 'queue-skipped';

/** Jobs that come while another one works are done without having been worked on. */
@Processor(SKIPPED_QUEUE)
export class SkippingProcessor extends WorkerHost {
  @WithLock('skipped-job', { onBusy: 'skip' })
  override async process(_job: Job): Promise<string | undefined> {
    return held();
  }
}

/** One bus for all: each variant has messages of its own. */
export function cqrsHandlers(scope: ScopeName, seen: Seen) {
  class Command {
    constructor(readonly id: string) {}
  }
  class Question {
    constructor(readonly id: string) {}
  }
  class Happened {
    constructor(readonly id: string) {}
  }
  @CommandHandler(Command, SCOPES[scope])
  class OnCommand {
    @WithLock('command:{0.id}')
    async execute(_command: Command): Promise<string> {
      return held();
    }
  }
  @QueryHandler(Question, SCOPES[scope])
  class OnQuestion {
    @WithLock('query:{0.id}')
    async execute(_question: Question): Promise<string> {
      return held();
    }
  }
  @EventsHandler(Happened)
  class OnHappened {
    @WithLock('happened:{0.id}')
    async handle(_event: Happened): Promise<void> {
      seen.lines.push(`${scope} ${held()}`);
    }
  }
  return { Command, Question, Happened, providers: [OnCommand, OnQuestion, OnHappened] };
}
