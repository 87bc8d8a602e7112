import { json } from '../answers/answer.js';
import type { Endpoint } from './endpoint.js';

const OK = json('{"status":"ok"}');
const DRAINING = json('{"status":"draining"}', 503);

/** `/health`: the process answers. */
export const getHealth: Endpoint = (exchange) => exchange.answer(OK);

/** `/ready`: the server takes new work. */
export const getReady: Endpoint = (exchange, { isDraining }) => exchange.answer(isDraining ? DRAINING : OK);
