import { type Route, ROUTES } from './routes.js';
import { decodeSegment } from './target.js';

/** What a path leads to. */
export interface Match {
  /** Undefined if no route has this path and method. */
  readonly route: Route | undefined;
  /** The bytes of the segment in braces; empty if the route has none. */
  readonly param: string;
  /** The methods of the path, for the header Allow; undefined if no route has this path. */
  readonly allow: string | undefined;
}

interface Node {
  readonly children: Map<string, Node>;
  param: Node | undefined;
  readonly routes: Map<string, Route>;
  allow: string | undefined;
}

const newNode = (): Node => ({ children: new Map(), param: undefined, routes: new Map(), allow: undefined });

const NOTHING: Match = { route: undefined, param: '', allow: undefined };

/** Finds routes by raw paths: segments are split first and then decoded, so that keys are any bytes. */
export class Router {
  private readonly root = newNode();

  constructor(routes: readonly Route[] = ROUTES) {
    for (const route of routes) this.add(route);
  }

  /** @param method as sent; HEAD finds the routes of GET */
  match(path: string, method: string): Match {
    let node = this.root;
    let param = '';
    // The segment begins behind the slash.
    for (let start = 1; ;) {
      const slash = path.indexOf('/', start);
      const raw = slash < 0 ? path.slice(start) : path.slice(start, slash);
      if (raw === '') return NOTHING;
      const segment = decodeSegment(raw);
      const child: Node | undefined = node.children.get(segment) ?? node.param;
      if (!child) return NOTHING;
      if (child === node.param) param = segment;
      node = child;
      if (slash < 0) break;
      start = slash + 1;
    }
    if (node.allow === undefined) return NOTHING;
    return { route: node.routes.get(method === 'HEAD' ? 'GET' : method), param, allow: node.allow };
  }

  private add(route: Route): void {
    let node = this.root;
    for (const segment of route.path.slice(1).split('/')) {
      if (segment.startsWith('{')) {
        node = node.param ??= newNode();
        continue;
      }
      let child = node.children.get(segment);
      if (!child) node.children.set(segment, (child = newNode()));
      node = child;
    }
    node.routes.set(route.method, route);
    node.allow = [...node.routes.keys()].map((method) => (method === 'GET' ? 'GET, HEAD' : method)).join(', ');
  }
}
