import { Inject } from '@nestjs/common';
import { getDflockdToken } from '../dflockd.token.js';

/**
 * Injects the DflockdService of an instance.
 * @param instance as given to `forRoot`; default: the unnamed one, which can also be injected by its class
 */
export const InjectDflockd = (instance?: string): ParameterDecorator & PropertyDecorator =>
  Inject(getDflockdToken(instance));
