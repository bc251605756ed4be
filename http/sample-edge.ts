/**
 * A small table of routes that has one of everything the edge does, and an edge with it on a port of its own. For tests of the
 * edge and of the OpenAPI document; the shop's own routes have tests of their own.
 */
import Type from 'typebox';
import { Fault } from '../runtime/fault.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { createEdge, type Edge, type EdgeOptions } from './edge.ts';
import { problem } from './problem.ts';
import { type AnyRoute, route } from './route.ts';
import { AdminKeys } from './tokens.ts';

export const SAMPLE_ADMIN_KEY = 'sample-admin-key-0123456789abcdef';
export const SAMPLE_BODY_MAX = 2_048;

/** What handlers saw, and the gate that the slow ones wait at. */
export class SampleWorld {
  readonly seen: string[] = [];
  #waiting: (() => void)[] = [];

  get waiting(): number {
    return this.#waiting.length;
  }

  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  letGo(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export const ECHO = Type.Object(
  {
    sku: Type.String({ minLength: 1, maxLength: 64 }),
    quantity: Type.Integer({ minimum: 1, maximum: 999 }),
    note: Type.Optional(Type.String({ maxLength: 1_000 })),
  },
  { $id: 'Echo', additionalProperties: false },
);

export function sampleRoutes(world: SampleWorld): AnyRoute[] {
  const responses = { 200: { description: 'What came.', schema: ECHO } };
  const common = { tag: 'sample', access: 'none', responses } as const;
  return [
    route({
      ...common,
      method: 'POST',
      path: '/echo',
      operationId: 'echo',
      summary: 'Says what it was told',
      body: ECHO,
      maxBodyBytes: SAMPLE_BODY_MAX,
      handle: ({ body, key, ifMatch, header, path }) => {
        world.seen.push(path);
        return { status: 200, body: { ...body, key: key?.raw, ifMatch, header: typeof header } };
      },
    }),
    route({
      ...common,
      method: 'GET',
      path: '/things/{id}',
      operationId: 'readThing',
      summary: 'Reads a thing',
      params: Type.Object({ id: Type.String({ maxLength: 40 }) }),
      query: Type.Object(
        {
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
          all: Type.Optional(Type.Boolean()),
          skus: Type.Optional(Type.Array(Type.String(), { maxItems: 5 })),
        },
        { additionalProperties: false },
      ),
      handle: (request) => {
        world.seen.push(request.path);
        const { params, query, clientIp } = request;
        return {
          status: 200,
          headers: { etag: '"1"' },
          body: { params, query, clientIp, agent: request.header('user-agent') },
        };
      },
    }),
    route({
      ...common,
      method: 'POST',
      path: '/slow',
      operationId: 'slow',
      summary: 'Waits to be let go',
      body: ECHO,
      async handle({ body }) {
        world.seen.push('/slow');
        await world.wait();
        return { status: 200, body };
      },
    }),
    route({
      ...common,
      method: 'GET',
      path: '/bad/{how}',
      operationId: 'bad',
      summary: 'Goes wrong in the way it is told',
      handle: ({ params }) => goWrong((params as { how: string }).how),
    }),
    route({
      ...common,
      method: 'DELETE',
      path: '/keyed/{id}',
      operationId: 'keyed',
      summary: 'Needs a key',
      idempotency: 'required',
      handle: ({ key, bearer }) => ({ status: 200, body: { hash: key?.hash, bearer } }),
    }),
    route({
      ...common,
      method: 'POST',
      path: '/opened',
      operationId: 'opened',
      summary: 'Takes a token and no body',
      access: 'cart',
      idempotency: 'uuid',
      limit: 'checkout',
      handle: ({ bearer, key }) => ({ status: 200, body: { bearer, key: key?.raw } }),
    }),
    route({
      ...common,
      method: 'POST',
      path: '/admin/import',
      operationId: 'importThings',
      summary: 'Takes bytes',
      access: 'operator',
      rawBody: { maxBytes: 4 * 1_048_576, contentTypes: ['text/csv'] },
      handle: ({ raw }) => ({ status: 200, body: { length: raw?.byteLength } }),
    }),
  ];
}

function goWrong(how: string) {
  switch (how) {
    case 'throw':
      throw new Error('secret host db.internal');
    case 'reject':
      return Promise.reject(new Error('secret host db.internal'));
    case 'reject-nothing':
      return Promise.reject(undefined);
    case 'fault':
      return Promise.reject(new Fault('database_unavailable', 'connect db.internal:5432', { retryAfterMs: 1_500 }));
    case 'quarantined':
      throw new Fault('quarantined', 'seq 3 of cart_1 is not known');
    case 'status':
      return { status: 799 };
    case 'header':
      return { status: 200, headers: { etag: 'a\r\nset-cookie: b=c' } };
    case 'body':
      return { status: 200, body: { big: 1n } };
    case 'empty':
      return { status: 204 };
    case 'bytes':
      return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: Buffer.from('日本') };
    default:
      return problem('out_of_stock', { detail: 'Only 1 is left.', extra: { available: 1 } });
  }
}

export interface SampleEdge {
  readonly edge: Edge;
  readonly port: number;
  readonly world: SampleWorld;
  /** What was logged as an error. */
  readonly errors: Readonly<Record<string, unknown>>[];
}

export async function startSample(options: Partial<EdgeOptions> = {}): Promise<SampleEdge> {
  const world = new SampleWorld();
  const errors: Record<string, unknown>[] = [];
  const edge = createEdge({
    routes: sampleRoutes(world),
    rateLimits: 'off',
    log: { warn: () => {}, error: (detail) => errors.push({ ...detail }) },
    clock: new SystemClock(),
    adminKeys: new AdminKeys(SAMPLE_ADMIN_KEY),
    exclusive: true,
    ...options,
  });
  return { edge, port: await edge.listen('127.0.0.1', 0), world, errors };
}

/** Waits for a condition, at most 10 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
