/**
 * The native server. Two builds of uWebSockets.js are installed under two names: the newer one runs on newer Node and newer
 * glibc only, the older one nearly everywhere. `loadUws` takes the newest that loads on this machine; which one it was is told in
 * `name`. Nothing native is touched before it is called.
 */

import type * as Native from 'uWebSockets.js';
import { createRequire } from 'node:module';

export type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
  WebSocketBehavior,
} from 'uWebSockets.js';

/** What this server uses of the native module. */
export type Uws = Pick<typeof Native, 'App' | 'us_listen_socket_close' | 'us_socket_local_port' | 'DISABLED'>;

export interface LoadedUws {
  /** The package that was loaded. */
  readonly name: string;
  readonly uws: Uws;
}

/** Newest first. */
const BUILDS = ['uWebSockets.js-next', 'uWebSockets.js'] as const;

/** With this flag a second process on the same port is refused; without it the two share the port silently. */
export const LISTEN_EXCLUSIVE = 1;
export const LISTEN_SHARED = 0;

/**
 * @param load finds a package by name; throws where it is absent or does not run here.
 * @throws one line that says what is needed, with every build's own reason as `cause`.
 */
export function loadUws(load: (name: string) => unknown = createRequire(import.meta.url)): LoadedUws {
  const reasons: unknown[] = [];
  for (const name of BUILDS) {
    try {
      const uws = load(name);
      if (!isUws(uws)) throw new TypeError(`${name} is not a server build`);
      silence(uws);
      return { name, uws };
    } catch (reason) {
      reasons.push(reason);
    }
  }
  throw new Error(
    `no native server build runs on ${process.platform}-${process.arch} with Node ${process.versions.node}: ` +
      'on Linux with glibc it needs Node 20 or 22 (glibc 2.27 or later), or Node 22, 24 or 26 (glibc 2.38 or later); ' +
      'install with the same Node that runs the server',
    { cause: new AggregateError(reasons) },
  );
}

/** The four-argument form of `listen`, which the native module takes and its types leave out. */
interface ListensWithOptions {
  listen(
    host: string,
    port: number,
    options: number,
    listening: (socket: Native.us_listen_socket | false) => void,
  ): unknown;
}

/** @param options `LISTEN_EXCLUSIVE` or `LISTEN_SHARED`; @param listening gets false where it cannot listen */
export function listen(
  app: Native.TemplatedApp,
  host: string,
  port: number,
  options: number,
  listening: (socket: Native.us_listen_socket | false) => void,
): void {
  (app as unknown as ListensWithOptions).listen(host, port, options, listening);
}

function isUws(value: unknown): value is Uws {
  return typeof value === 'object' && value !== null && 'App' in value && typeof value.App === 'function';
}

/** Keeps the server's name and version out of every answer. The switch is in no type declaration, so it may be absent. */
function silence(uws: object): void {
  if ('_cfg' in uws && typeof uws._cfg === 'function') uws._cfg('silent');
}
