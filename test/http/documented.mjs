/** The codes of errors, by status. */
const CODES = {
  400: ['bad_request'],
  401: ['unauthorized'],
  404: ['not_found', 'not_held'],
  405: ['method_not_allowed'],
  409: ['already_enqueued', 'not_enqueued', 'lease_expired', 'limit_mismatch'],
  410: ['session_gone'],
  503: ['max_locks', 'max_waiters', 'max_sessions', 'max_sessions_per_ip'],
};
const PLAIN = [400, 431];
/** Of the HTTP layer, as in Go. */
const NOT_DECODED = 'Unsupported transfer encoding';
const ALLOWED = ['POST', 'DELETE', 'GET, HEAD'];

/**
 * What is wrong with an answer; undefined if it is a documented one.
 *
 * @param {import('./http-socket.mjs').Answer} answer @param {string[]} secrets what no error may repeat
 */
export function fault({ status, headers, body }, secrets) {
  const type = headers.get('content-type');
  if (status === 100 || status === 204) return undefined;
  if (!headers.has('date') && !PLAIN.includes(status)) return `${status} without a date`;
  if (status === 200) return fault200(type, body);
  if (status === 307) return headers.get('location')?.startsWith('/') ? undefined : '307 without a location';
  if (status === 417) return body === '' ? undefined : '417 with a body';
  if (status === 501) return headers.get('connection') === 'close' && body === NOT_DECODED ? undefined : `501: ${body}`;
  for (const secret of secrets) if (body.includes(secret)) return `${status} repeats what a client sent`;
  if (type === 'text/plain; charset=utf-8') {
    if (!PLAIN.includes(status)) return `plain text with ${status}`;
    return body.startsWith(`${status} `) && headers.get('connection') === 'close' ? undefined : `${status}: ${body}`;
  }
  const codes = CODES[status];
  if (!codes) return `status ${status}: ${body}`;
  if (type !== 'application/json' || !body.endsWith('}\n')) return `${status} without JSON`;
  const { error, detail = '', ...others } = JSON.parse(body);
  if (!codes.includes(error) || typeof detail !== 'string' || Object.keys(others).length > 0)
    return `${status}: ${body}`;
  if (headers.get('x-content-type-options') !== 'nosniff') return `${status} without nosniff`;
  if (status === 405 && !ALLOWED.includes(headers.get('allow'))) return `405 allows ${headers.get('allow')}`;
  return undefined;
}

function fault200(type, body) {
  if (type === 'application/json') {
    JSON.parse(body);
    return undefined;
  }
  if (type === 'text/event-stream' || type === 'text/plain; version=0.0.4; charset=utf-8') return undefined;
  return body === '' && type === undefined ? undefined : `200 of type ${type}`;
}
