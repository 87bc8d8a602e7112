import { applyDecorators, SetMetadata } from '@nestjs/common';
import { WithLock } from 'nestjs-dflockd';

/** A custom decorator. The compiler infers its type and writes it into the declarations. */
export const OrderLock = () => WithLock('order:{0}');

export const AuditedLock = () => applyDecorators(SetMetadata('audited', true), WithLock('order:{0}'));
