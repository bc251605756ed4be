/** Ready-made HTTP/1.1 requests for load generators. */
import type { CartHandle } from './shopper.ts';

/** A whole request. `headers` are lines with their ends. */
export function request(method: string, path: string, headers: string, body?: unknown): string {
  const data = body === undefined ? '' : JSON.stringify(body);
  const about =
    body === undefined ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(data)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: bench\r\n${headers}${about}\r\n${data}`;
}

export function post(path: string, body: object, cart?: CartHandle): string {
  return request('POST', path, cart === undefined ? '' : `Authorization: Bearer ${cart.token}\r\n`, body);
}

export const get = (path: string) => request('GET', path, '');

/** Every answer that is no 2xx is a failure, by its status. */
export function failureOf(status: number): string | null {
  return status >= 200 && status < 300 ? null : String(status);
}
