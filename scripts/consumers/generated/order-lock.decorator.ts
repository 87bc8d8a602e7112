import { applyDecorators, SetMetadata } from '@nestjs/common';
import { WithLock } from 'nestjs-dflockd';

/** A decorator of the project's own: its type is inferred, and written into the declarations. */
export const OrderLock = () => WithLock('order:{0}');

export const AuditedLock = () => applyDecorators(SetMetadata('audited', true), WithLock('order:{0}'));
