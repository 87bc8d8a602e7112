// A bare node:http server that reads the body of each request and answers as the daemon does; it knows nothing else.
import { createServer } from 'node:http';
import { answer } from '../support/child.mjs';

const GRANTED = `{"status":"ok","token":"${'0'.repeat(32)}","lease_ttl_s":33}\n`;
const SESSION = `{"session_id":"${'0'.repeat(32)}","idle_timeout_s":60}\n`;
const JSON_HEAD = ['Content-Type', 'application/json', 'X-Content-Type-Options', 'nosniff', 'Content-Length'];

const server = createServer({ keepAliveTimeout: 120_000 }, (req, res) => {
  req.on('data', () => {});
  req.on('end', () => {
    if (req.url.endsWith('/release')) return res.writeHead(204).end();
    const text = req.url === '/v1/sessions' ? SESSION : GRANTED;
    res.writeHead(200, [...JSON_HEAD, String(text.length)]).end(text, 'latin1');
  });
});

answer({
  listen: () =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () =>
        resolve({ host: '127.0.0.1', port: server.address().port }),
      );
    }),
});
