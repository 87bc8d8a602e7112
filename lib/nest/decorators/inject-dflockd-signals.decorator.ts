import { Inject } from '@nestjs/common';
import { getDflockdSignalsToken } from '../dflockd.signals.js';

/**
 * Injects the DflockdSignals of an instance.
 * @param instance as given to `forRoot`; default: the unnamed one, which can also be injected by its class
 */
export const InjectDflockdSignals = (instance?: string): ParameterDecorator & PropertyDecorator =>
  Inject(getDflockdSignalsToken(instance));
