/**
 * The OpenAPI 3.1 document, made of the routes' declarations alone: what the edge validates with is what is published. Schemas
 * that carry an `$id` become components; problems are listed with their codes for each status.
 */
import type { TSchema } from 'typebox';
import { pathParameters } from './dispatch.ts';
import { IDEMPOTENCY_KEY_MAX } from './idempotency-key.ts';
import { PROBLEM_PAGE, PROBLEM_TYPE, PROBLEMS, type ProblemCode, type ProblemKind } from './problem.ts';
import type { AnyRoute } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

export interface OpenApiOptions {
  readonly version: string;
  /** Default `/`: the server that the document comes from. */
  readonly serverUrl?: string;
}

/** What holds for all calls, in Markdown: the first thing that a reader of the page sees. */
const INTRODUCTION = `Browse, cart, price, check out, order. A 2xx answer to a write means that it is on disk.

- **Credentials**: opening a cart gives a token, which opens that cart and its orders as \`Authorization: Bearer …\`; operators have a key.
- **Money** is an integer in the currency's minor unit; **times** are RFC 3339 in UTC; **lists** are \`{ items, nextCursor }\`.
- **Repeat** any write under the same \`Idempotency-Key\`: it has one effect and one answer. \`If-Match\` guards a version.
- **Errors** are \`application/problem+json\` with a stable \`code\`: [all of them](${PROBLEM_PAGE}). Come back after \`Retry-After\`.
- **Additions** may come at any time: ignore fields and enum values that you do not know.`;

const TAGS: Readonly<Record<string, string>> = {
  products: 'What is for sale.',
  carts: 'Lines, coupons, destination, shipping. Every change answers with the whole cart, priced.',
  checkout: 'From a cart to an order, charged once.',
  orders: 'What was bought, for whoever has the token of its cart.',
  feed: 'Stock as it changes.',
  webhooks: 'What a payment provider tells by itself.',
  'admin: catalogue': 'Products as operators keep them.',
  'admin: pricing':
    'Price lists, promotions, coupons, taxes, zones, shipping, the store: versioned, audited, in effect on all nodes within two seconds.',
  'admin: stock': 'Units on hand, held, sold and free to sell.',
  'admin: carts': 'What is said of a cart that its shopper may not say.',
  'admin: orders': 'Every order, and what the shop believes was charged.',
  'admin: jobs': 'What is done after a commit, and what of it failed for good.',
  'admin: audit': 'What operators have done.',
  'admin: cluster': 'The nodes, and which of them has what.',
};

/** Faults that any call may come to, with the refusals of the edge that depend on no declaration. */
const ANY_ROUTE: readonly ProblemCode[] = [
  'internal',
  'quarantined',
  'overloaded',
  'deadline_exceeded',
  'shard_unavailable',
  'database_unavailable',
  'draining',
];
const ANY_WRITE: readonly ProblemCode[] = ['invalid_request', 'outcome_unknown', 'rejected'];
const ANY_BODY: readonly ProblemCode[] = ['body_too_large', 'unsupported_media_type', 'request_timeout'];
const ANY_KEYED: readonly ProblemCode[] = ['idempotency_key_reused', 'idempotency_in_progress', 'idempotency_full'];

/** Documents whose version is the entity tag. */
const VERSIONED = new Set([
  ...['Cart', 'Order', 'Product', 'AdminProduct', 'AdminPriceList', 'AdminPromotion', 'AdminPromotionGroup'],
  ...['AdminCoupon', 'AdminTaxRate', 'AdminZone', 'AdminShippingMethod', 'AdminStore'],
]);

const HEADERS: Json = {
  ETag: { description: 'The version, quoted, for `If-Match`.', schema: { type: 'string' } },
  Location: { description: 'Where the thing is.', schema: { type: 'string' } },
  RetryAfter: { description: 'Whole seconds, at least 1.', schema: { type: 'integer', minimum: 1 } },
  RateLimit: {
    description: 'What is left of the limit (draft-ietf-httpapi-ratelimit-headers-11).',
    schema: { type: 'string' },
  },
  RateLimitPolicy: { description: 'The limit: its quota and window in seconds.', schema: { type: 'string' } },
  IdempotencyReplayed: {
    description: '`true` where this is the recorded answer to an earlier call under the same key.',
    schema: { type: 'string', enum: ['true'] },
  },
};

const PROBLEM_SCHEMA: Json = {
  type: 'object',
  description: 'RFC 9457. Some codes add members, which their calls describe.',
  required: ['type', 'title', 'status', 'detail', 'instance', 'code'],
  properties: {
    type: { type: 'string', format: 'uri-reference', examples: ['/docs/problems#invalid_request'] },
    title: { type: 'string', examples: [PROBLEMS.invalid_request.title] },
    status: { type: 'integer', examples: [PROBLEMS.invalid_request.status] },
    detail: { type: 'string', description: 'What is wrong this time.', examples: ['/quantity must be >= 1'] },
    instance: { type: 'string', description: 'The path of the request.', examples: ['/v1/carts'] },
    code: { type: 'string', description: 'A stable word.' },
    errors: {
      type: 'array',
      maxItems: 200,
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: {
          path: {
            type: 'string',
            description: 'A JSON pointer into the body, or `/query/…`, `/params/…`, `/headers/…`.',
          },
          message: { type: 'string' },
        },
      },
    },
  },
};

const header = (name: string): Json => ({ $ref: `#/components/headers/${name}` });

/** @throws where two different schemas carry the same `$id` */
export function openApiDocument(routes: readonly AnyRoute[], options: OpenApiOptions): Json {
  const components = new Components();
  const paths: Record<string, Record<string, Json>> = {};
  const tags = new Set<string>();
  for (const route of routes) {
    if (route.hidden === true) continue;
    tags.add(route.tag);
    paths[route.path] ??= {};
    const path = paths[route.path];
    if (path !== undefined) path[route.method.toLowerCase()] = operation(route, components);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Stampede',
      version: options.version,
      description: INTRODUCTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: options.serverUrl ?? '/' }],
    tags: [...tags].map((name) => ({ name, description: TAGS[name] ?? name })),
    paths,
    components: {
      schemas: { ...components.schemas, Problem: PROBLEM_SCHEMA },
      headers: HEADERS,
      securitySchemes: {
        cartToken: { type: 'http', scheme: 'bearer', description: 'The token that came with the cart.' },
        operatorKey: { type: 'http', scheme: 'bearer', description: "An operator's API key." },
      },
    },
  };
}

function operation(route: AnyRoute, components: Components): Json {
  const content = requestContent(route, components);
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(route.description === undefined ? undefined : { description: route.description }),
    tags: [route.tag],
    security: route.access === 'none' ? [] : [{ [route.access === 'cart' ? 'cartToken' : 'operatorKey']: [] }],
    parameters: parameters(route, components),
    ...(content === null ? undefined : { requestBody: { required: route.bodyOptional !== true, content } }),
    responses: { ...answers(route, components), ...problems(route) },
  };
}

function requestContent(route: AnyRoute, components: Components): Json | null {
  if (route.rawBody !== undefined) {
    const { contentTypes, schema } = route.rawBody;
    const shown = schema === undefined ? { type: 'string' } : components.take(schema);
    return Object.fromEntries(contentTypes.map((type) => [type, { schema: shown }]));
  }
  if (route.body === undefined) return null;
  return { 'application/json': { schema: components.take(route.body) } };
}

function keyed(route: AnyRoute): boolean {
  return route.method !== 'GET' && route.idempotency !== 'ignored';
}

function versioned(route: AnyRoute): boolean {
  return route.ifMatch ?? (route.access === 'cart' && route.method !== 'GET' && route.path.includes('{id}'));
}

function parameters(route: AnyRoute, components: Components): Json[] {
  const all: Json[] = [];
  const params = objectParts(route.params);
  for (const name of pathParameters(route.path)) {
    const schema = params.properties[name];
    all.push({
      name,
      in: 'path',
      required: true,
      schema: schema === undefined ? { type: 'string' } : components.take(schema),
    });
  }
  const query = objectParts(route.query);
  for (const [name, schema] of Object.entries(query.properties)) {
    const list = 'type' in schema && schema.type === 'array' ? { style: 'form', explode: false } : undefined;
    const told = 'description' in schema ? { description: schema.description } : undefined;
    all.push({
      name,
      in: 'query',
      required: query.required.includes(name),
      ...told,
      schema: components.take(schema),
      ...list,
    });
  }
  if (keyed(route)) {
    const schema =
      route.idempotency === 'uuid'
        ? { type: 'string', format: 'uuid' }
        : { type: 'string', minLength: 1, maxLength: IDEMPOTENCY_KEY_MAX };
    const description = 'The same key with the same request has one effect and one answer.';
    all.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: route.idempotency === 'required',
      description,
      schema,
    });
  }
  if (versioned(route)) {
    const description = 'The entity tag of the version that is to be changed; another version: 412.';
    all.push({ name: 'If-Match', in: 'header', required: false, description, schema: { type: 'string' } });
  }
  return all;
}

function objectParts(schema: TSchema | undefined) {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Readonly<Record<string, TSchema>>;
    required?: readonly string[];
  };
  return { properties, required };
}

function answers(route: AnyRoute, components: Components): Record<string, Json> {
  const all: Record<string, Json> = {};
  for (const [status, answer] of Object.entries(route.responses)) {
    const ok = status.startsWith('2');
    const id = answer.schema === undefined ? undefined : idOf(answer.schema);
    const headers = {
      ...(id !== undefined && VERSIONED.has(id) ? { ETag: header('ETag') } : undefined),
      ...(status === '201' || status === '202' ? { Location: header('Location') } : undefined),
      ...(ok && keyed(route) ? { 'Idempotency-Replayed': header('IdempotencyReplayed') } : undefined),
    };
    const type = answer.contentType ?? 'application/json';
    const schema = answer.schema === undefined ? { type: 'string' } : components.take(answer.schema);
    const hasContent = answer.schema !== undefined || answer.contentType !== undefined;
    all[status] = {
      description: answer.description,
      ...(Object.keys(headers).length === 0 ? undefined : { headers }),
      ...(hasContent ? { content: { [type]: { schema } } } : undefined),
    };
  }
  return all;
}

/** Every code that the route may answer, by what it declares. */
export function problemCodes(route: AnyRoute): ProblemCode[] {
  const codes = new Set<ProblemCode>(ANY_ROUTE);
  const add = (more: readonly ProblemCode[]) => {
    for (const code of more) codes.add(code);
  };
  if (route.limit !== 'unlimited') codes.add('rate_limited');
  if (route.params !== undefined || route.path.includes('{')) add(['invalid_request', 'not_found']);
  if (route.query !== undefined) codes.add('invalid_request');
  if (route.method !== 'GET') add(ANY_WRITE);
  if (route.body !== undefined || route.rawBody !== undefined) add(ANY_BODY);
  if (keyed(route)) add(ANY_KEYED);
  if (route.idempotency === 'required') codes.add('idempotency_key_required');
  if (route.access !== 'none') codes.add('unauthenticated');
  if (route.access !== 'none' && route.access !== 'cart') codes.add('forbidden');
  if (versioned(route)) codes.add('version_mismatch');
  add(route.problems ?? []);
  return [...codes];
}

function problems(route: AnyRoute): Record<string, Json> {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of problemCodes(route)) {
    const { status } = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const all: Record<string, Json> = {};
  for (const [status, codes] of [...byStatus].sort(([a], [b]) => a - b)) {
    const lines = codes.map((code) => {
      const kind: ProblemKind = PROBLEMS[code];
      return `- \`${code}\`: ${kind.title}`;
    });
    const headers = {
      ...(status === 429 || status === 503 ? { 'Retry-After': header('RetryAfter') } : undefined),
      ...(status === 429
        ? { RateLimit: header('RateLimit'), 'RateLimit-Policy': header('RateLimitPolicy') }
        : undefined),
    };
    const code = { type: 'string', enum: codes };
    const schema = { allOf: [{ $ref: '#/components/schemas/Problem' }, { type: 'object', properties: { code } }] };
    all[String(status)] = {
      description: lines.join('\n'),
      ...(Object.keys(headers).length === 0 ? undefined : { headers }),
      content: { [PROBLEM_TYPE]: { schema } },
    };
  }
  return all;
}

function idOf(schema: TSchema): string | undefined {
  return '$id' in schema && typeof schema.$id === 'string' ? schema.$id : undefined;
}

/** Collects the schemas that carry an `$id`, and puts references where they stood. */
class Components {
  readonly schemas: Record<string, unknown> = {};

  take(schema: unknown): unknown {
    if (typeof schema !== 'object' || schema === null) return schema;
    if (Array.isArray(schema)) return schema.map((part) => this.take(part));
    const plain: Record<string, unknown> = {};
    for (const [name, part] of Object.entries(schema)) if (name !== '$id') plain[name] = this.take(part);
    if (!('$id' in schema) || typeof schema.$id !== 'string') return plain;
    const known = this.schemas[schema.$id];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(plain))
      throw new Error(`two different schemas are called ${schema.$id}`);
    this.schemas[schema.$id] = plain;
    return { $ref: `#/components/schemas/${schema.$id}` };
  }
}
