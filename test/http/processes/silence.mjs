// How long sessions over HTTP were silent, by the clock of the daemon's process.
import { subscribe } from 'node:diagnostics_channel';

/** Sessions remembered: those that spoke last. More would count as growth of the daemon. */
const MOST = 1000;
const PING = /^\/v1\/sessions\/([0-9a-f]{32})\/ping$/;

/** By session: its requests under way, when the last of them ended, and the longest time without any. */
const sessions = new Map();
/** When a session was created, by the connection that asked for it: its first request comes on the same. */
const created = new WeakMap();

subscribe('http.server.request.start', ({ request, response, socket }) => {
  const { url, headers } = request;
  if (url === '/v1/sessions') response.once('close', () => created.set(socket, performance.now()));
  const sid = headers['x-dflockd-session'] ?? PING.exec(url)?.[1];
  if (sid === undefined) return;
  const session = sessions.get(sid) ?? { underWay: 0, since: created.get(socket) ?? Infinity, longest: 0 };
  sessions.delete(sid);
  sessions.set(sid, session);
  if (sessions.size > MOST) sessions.delete(sessions.keys().next().value);
  if (session.underWay++ === 0) session.longest = Math.max(session.longest, performance.now() - session.since);
  response.once('close', () => {
    session.underWay--;
    session.since = performance.now();
  });
});

/** In milliseconds; 0 if nothing is known of the session. */
export function longestSilence(sid) {
  const session = sessions.get(sid);
  if (!session) return 0;
  return Math.max(session.longest, session.underWay > 0 ? 0 : performance.now() - session.since);
}
