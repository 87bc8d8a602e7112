import { Controller, type Type } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { WithLock } from '../../../lib/entries/index.js';
import { held, SCOPES, stack, type Position, type ScopeName } from './stack.js';

/** What handlers without an answer have to tell. */
export class Seen {
  readonly lines: string[] = [];
}

const locked = (position: Position, key: string, ...others: MethodDecorator[]) =>
  stack(position, WithLock(key) as MethodDecorator, ...others);

export function messageController(position: Position, scope: ScopeName, seen: Seen): Type {
  @Controller(SCOPES[scope])
  class Messages {
    @locked(position, 'sum:{0.id}', MessagePattern(`sum.${position}.${scope}`))
    async sum(@Payload() _data: { id: string }): Promise<string> {
      return held();
    }

    @locked(position, 'done:{0.id}', EventPattern(`done.${position}.${scope}`) as MethodDecorator)
    async done(@Payload() data: { id: string }): Promise<void> {
      seen.lines.push(`${position} ${scope} ${held()} ${data.id}`);
    }
  }
  return Messages;
}

export function gateway(position: Position): Type {
  @WebSocketGateway()
  class Gateway {
    @locked(position, 'say:{0.id}', SubscribeMessage(`say.${position}`))
    async say(@MessageBody() data: { id: string }): Promise<object> {
      return { event: 'said', data: `${held()} ${data.id}` };
    }
  }
  return Gateway;
}
