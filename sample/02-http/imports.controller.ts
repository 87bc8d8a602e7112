import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Controller, Post, type ExecutionContext } from '@nestjs/common';
import { LockRequest } from 'nestjs-dflockd';

function tenantOf(context: ExecutionContext): string {
  const { headers } = context.switchToHttp().getRequest<IncomingMessage>();
  return `import:${String(headers['x-tenant'])}`;
}

@Controller('imports')
export class ImportsController {
  /** One import at a time for each tenant; whoever comes second is answered 423 at once. Held until the response is sent. */
  @Post()
  @LockRequest(tenantOf, { acquireTimeoutS: 0 })
  async import(): Promise<string> {
    await pause(200);
    return 'imported';
  }
}
