/**
 * A whole shop in memory for tests of the routes: the real edge, actors, runtime, prices and demo data; in place of PostgreSQL a
 * journal in memory, in place of the payment provider a handler that knows its tokens. It ends with `close`.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/schema';
import { uuidv7 } from 'uuidv7';
import { actorTypes } from '../actors/registry.ts';
import { NoticeVerifier } from '../payments/notice.ts';
import { Fault } from '../runtime/fault.ts';
import type { AnswerRow, ProjectionRow } from '../runtime/journal.ts';
import { soleMember } from '../runtime/members.ts';
import { MemoryJournal } from '../runtime/memory.ts';
import { type ActorSystem, type ActorSystemOptions, createActorSystem } from '../runtime/system.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import type { AuditLine } from '../schema/audit.ts';
import type { ClusterView } from '../schema/cluster-view.ts';
import type { Coupon } from '../schema/coupon.ts';
import { demoData } from '../schema/demo.ts';
import type { Product } from '../schema/product.ts';
import type { PaymentRecord } from '../schema/read-side.ts';
import type { JobView } from '../workers/jobs-admin.ts';
import { price } from '../workers/pricing.ts';
import type { PriceRequest, Quote } from '../workers/quote.ts';
import type { App, AuditEntry } from './app.ts';
import { cartResponder } from './cart-view.ts';
import { createEdge, type Edge } from './edge.ts';
import { MemoryCatalogue } from './memory-catalogue.ts';
import { orderResponder } from './order-view.ts';
import { allRoutes } from './routes/index.ts';
import { skuResponder } from './sku-view.ts';
import { AdminKeys, CartTokens } from './tokens.ts';

export const ADMIN_KEY = 'test-admin-key-0123456789abcdef';
export const SECRETS = ['test-token-secret-0123456789abcdef'];

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came; tests look into it
  readonly body: any;
  readonly text: string;
}

export interface Call {
  readonly token?: string | undefined;
  readonly key?: string | undefined;
  /** Sent as JSON; a string or bytes as they are. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ShopOptions {
  /** Default 5,000. */
  readonly checkoutWaitMs?: number;
  /** Default: notices of the provider are not taken. */
  readonly noticeSecret?: string;
  /** Before an effect that failed is tried again. Default: the system's. */
  readonly effectRetryMs?: number;
  /** Beside those of the demo data. */
  readonly coupons?: readonly Coupon[];
}

export class MemoryShop {
  /** One member that has everything; a test may have shops made of several. */
  static createSystem: (options: ActorSystemOptions & { readonly journal: MemoryJournal }) => ActorSystem =
    createActorSystem;
  readonly journal = new MemoryJournal({ lanes: 2 });
  readonly clock = new SystemClock();
  /** A test may put others in their place, as a rotation of secrets does. */
  tokens = new CartTokens(SECRETS);
  readonly audit: AuditEntry[] = [];
  readonly jobs = new Map<string, JobView>();
  readonly erased = new Set<string>();
  readonly system: ActorSystem;
  readonly app: App;
  /** Set by a test: authorisations wait for it. */
  charge: Promise<void> = Promise.resolve();
  /** Set by a test: an authorisation for which it rejects has no outcome. */
  beforeCharge: () => Promise<void> = () => this.charge;
  /** Set by a test: the pool's answer. */
  pricingDown = false;
  /** Set by a test: what the rows say. */
  cluster: ClusterView = {
    databaseId: 'memory',
    shardCount: 256,
    hashVersion: 1,
    members: [],
    shards: [],
    handOffs: { pending: 0, total: 0 },
    lag: { outboxMs: 0, timersMs: 0 },
  };
  readonly #data: ReturnType<typeof demoData>;
  readonly #answers = new Map<string, AnswerRow>();
  readonly #keys = new Map<string, Buffer>();
  readonly #stock = new Map<string, { available: number; version: number }>();
  readonly #catalogue: MemoryCatalogue;
  #edge: Edge;
  #port = 0;

  private constructor(options: ShopOptions) {
    const demo = demoData();
    this.#data = { ...demo, coupons: [...demo.coupons, ...(options.coupons ?? [])] };
    this.#catalogue = new MemoryCatalogue(this.#data, (answer) => {
      this.#answers.set(`${answer.id} ${answer.keyHash}`, answer);
    });
    const stock = {
      get: (sku: string) => this.#stock.get(sku),
      isFresh: () => true,
      ensure: () => Promise.resolve(),
    };
    const pricing = {
      price: async (request: PriceRequest, { final }: { final: boolean }): Promise<Quote> => {
        if (this.pricingDown) throw new Fault('pricing_unavailable', 'the pool is down');
        return price(this.#catalogue.book(), request, { final });
      },
    };
    const retryMs = options.effectRetryMs;
    this.system = MemoryShop.createSystem({
      types: actorTypes(),
      journal: this.journal,
      clock: this.clock,
      membership: soleMember(),
      ...(retryMs === undefined ? {} : { limits: { effectRetryMinMs: retryMs, effectRetryMaxMs: retryMs } }),
      responders: { cart: cartResponder({ pricing, stock }), order: orderResponder(), sku: skuResponder() },
      handlers: {
        'order.price': async (input) => price(this.#catalogue.book(), input as PriceRequest, { final: true }),
        'payment.authorise': (input) => this.#authorise(input as { orderId: string; token: string }),
        'payment.void': async () => ({ ok: true }),
        'payment.refund': async () => ({ ok: true }),
      },
    });
    this.system.onProjection((row) => this.#project(row));
    this.app = {
      system: this.system,
      clock: this.clock,
      pricing,
      stock,
      catalogue: this.#catalogue,
      subjects: this.#subjects(),
      readSide: {
        listOrders: async ({ state, cartId, limit, after }) =>
          this.#orders((doc) => (state ?? doc.state) === doc.state && (cartId ?? doc.cartId) === doc.cartId)
            .filter(
              (row) =>
                after === undefined ||
                row.placedAt < after.placedAt ||
                (row.placedAt === after.placedAt && row.id < after.id),
            )
            .slice(0, limit),
        listPayments: async ({ orderId, state, limit }) =>
          this.#orders((doc) => (orderId ?? doc.id) === doc.id)
            .map(({ id, placedAt, doc }): PaymentRecord => {
              const payment = doc.payment as PaymentRecord;
              const { amount, currency, provider, reference, history } = payment;
              const cartId = String(doc.cartId);
              return {
                id,
                placedAt,
                orderId: id,
                cartId,
                state: payment.state,
                amount,
                currency,
                provider,
                reference,
                history,
              };
            })
            .filter((payment) => (state ?? payment.state) === payment.state)
            .slice(0, limit),
        listAudit: async ({ actor, target, since = 0, after, limit }) => {
          const from = after === undefined ? -1 : this.#auditTrail().findIndex(({ id }) => id === after.id);
          return this.#auditTrail()
            .slice(from + 1)
            .filter((line) => (actor ?? line.actor) === line.actor && (target ?? line.target) === line.target)
            .filter(({ at }) => at >= since)
            .slice(0, limit);
        },
        getAudit: async (id) => this.#auditTrail().find((line) => line.id === id) ?? null,
      },
      jobs: {
        list: async ({ state, limit }) => ({
          items: [...this.jobs.values()].filter((job) => (state ?? job.state) === job.state).slice(0, limit),
          next: null,
        }),
        get: async (id) => this.jobs.get(id) ?? null,
        retry: async (id) => {
          const job = this.jobs.get(id);
          if (job?.state !== 'failed') return false;
          this.jobs.set(id, { ...job, state: 'open', phase: 'waiting' });
          return true;
        },
      },
      cluster: {
        nodeId: 'node-1',
        view: async () => this.cluster,
        localShare: () => 0.5,
        requestDrain: async (nodeId) => {
          const living = this.cluster.members.filter(({ state }) => state === 'alive');
          if (!living.some((member) => member.nodeId === nodeId)) return 'unknown';
          return living.length < 2 ? 'last' : 'asked';
        },
      },
      tokens: {
        issue: (id) => this.tokens.issue(id),
        opens: (token, id) => this.tokens.opens(token, id),
        candidates: (key) => this.tokens.candidates(key),
      },
      operators: new AdminKeys(ADMIN_KEY),
      cursorSecrets: SECRETS,
      notices: options.noticeSecret === undefined ? null : new NoticeVerifier([options.noticeSecret]),
      adminAnswers: {
        find: async (scope, keyHash) => this.#answers.get(`${scope} ${keyHash}`) ?? null,
        record: async (row) => this.#answers.set(`${row.id} ${row.keyHash}`, row),
      },
      newId: (prefix) => `${prefix}_${uuidv7()}`,
      productImage: (sku) => `<svg xmlns="http://www.w3.org/2000/svg"><title>${sku}</title></svg>`,
      audit: (entry) => {
        this.audit.push(entry);
      },
      settings: { checkoutWaitMs: options.checkoutWaitMs ?? 5_000 },
    };
    this.#edge = createEdge({
      routes: allRoutes(this.app),
      rateLimits: 'off',
      log: { warn: () => {}, error: (detail) => this.errors.push(detail) },
      clock: this.clock,
      adminKeys: new AdminKeys(ADMIN_KEY),
      exclusive: true,
    });
  }

  /** What the edge logged as an error: a test that expects none looks here. */
  readonly errors: object[] = [];

  static async open(options: ShopOptions = {}): Promise<MemoryShop> {
    const shop = new MemoryShop(options);
    await shop.system.start();
    shop.#port = await shop.#edge.listen('127.0.0.1', 0);
    for (const [sku, onHand] of Object.entries(shop.#data.stock)) await shop.setStock(sku, onHand);
    return shop;
  }

  async close(): Promise<void> {
    this.#edge.close();
    await this.system.drain(2_000);
  }

  async setStock(sku: string, onHand: number): Promise<void> {
    const before = this.#stock.get(sku)?.available ?? 0;
    await this.system.ask({ type: 'sku', id: sku }, { kind: 'adjust', delta: onHand - before, reason: 'test' });
  }

  /** One request over a socket. */
  async call(method: string, path: string, call: Call = {}): Promise<Answer> {
    const { body, token, key } = call;
    const raw = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    const headers: Record<string, string> = {
      ...(raw === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(raw)) }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...call.headers,
    };
    const request = httpRequest({ host: '127.0.0.1', port: this.#port, method, path, headers });
    request.end(raw);
    const [response] = await once(request, 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const json = /json/.test(response.headers['content-type'] ?? '') && text !== '';
    return { status: response.statusCode ?? 0, headers: response.headers, text, body: json ? JSON.parse(text) : null };
  }

  /** As an operator. */
  admin(method: string, path: string, call: Call = {}): Promise<Answer> {
    return this.call(method, path, { token: ADMIN_KEY, ...call });
  }

  product(pick: (product: Product) => boolean): Product {
    const found = this.#data.products.find(pick);
    if (found === undefined) throw new Error('there is no such product in the demo data');
    return found;
  }

  /** Everything that was written to disk, as one piece of bytes. */
  written(): Buffer {
    const { actors, answers, projections, outbox } = this.journal.store;
    const parts: Uint8Array[] = [];
    for (const actor of actors.values()) {
      for (const event of actor.events) parts.push(event.payload);
      if (actor.snapshot !== null) parts.push(actor.snapshot.payload);
    }
    for (const answer of answers.values()) parts.push(answer.payload);
    for (const table of projections.values())
      for (const row of table.values()) parts.push(Buffer.from(JSON.stringify(row)));
    for (const row of outbox.values()) parts.push(Buffer.from(JSON.stringify(row)));
    return Buffer.concat(parts);
  }

  #subjects(): App['subjects'] {
    return {
      ensure: async (subject) => {
        if (!this.#keys.has(subject)) this.#keys.set(subject, randomBytes(32));
      },
      seal: (subject, value) => {
        const nonce = randomBytes(12);
        const cipher = createCipheriv('aes-256-gcm', this.#keys.get(subject) ?? '', nonce);
        return Buffer.concat([nonce, cipher.update(JSON.stringify(value)), cipher.final(), cipher.getAuthTag()]);
      },
      pseudonym: (text) => createHash('sha256').update(`test:${text}`).digest('base64url').slice(0, 22),
      open: (subject, bytes) => {
        const key = this.#keys.get(subject);
        if (key === undefined || this.erased.has(subject)) return null;
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
        decipher.setAuthTag(bytes.subarray(-16));
        return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString());
      },
    };
  }

  async #authorise({ orderId, token }: { orderId: string; token: string }): Promise<unknown> {
    await this.beforeCharge();
    if (token.startsWith('tok_declined')) return { ok: false, code: 'card_declined' };
    return { ok: true, paymentId: `pay_${orderId}`, provider: 'sandbox' };
  }

  /** Newest first. */
  #auditTrail(): AuditLine[] {
    const lines = this.audit.map(({ operation, path: target, status, clientIp, at }, i): AuditLine => {
      const id = `0190a6d2-0000-7000-8000-${String(i + 2).padStart(12, '0')}`;
      return { id, at, actor: 'admin-key', operation, target, doc: { status, clientIp } };
    });
    return lines.reverse();
  }

  #project(row: ProjectionRow): void {
    if (row.table !== 'stock' || row.doc === null) return;
    this.#stock.set(row.key, { available: Number(row.doc.available), version: row.version });
  }

  #orders(fits: (doc: Readonly<Record<string, unknown>>) => boolean) {
    const rows = [...(this.journal.store.projections.get('orders')?.values() ?? [])];
    return rows
      .flatMap(({ key, doc }) => (doc !== null && fits(doc) ? [{ id: key, placedAt: Number(doc.placedAt), doc }] : []))
      .sort((a, b) => b.placedAt - a.placedAt || (a.id < b.id ? 1 : -1));
  }
}

/** Whether a document is in the form of its schema. (A plain boolean, where the validator's own check would narrow its type.) */
export function fits(schema: TSchema, document: unknown): boolean {
  let check = CHECKS.get(schema);
  if (check === undefined) {
    check = Compile(schema);
    CHECKS.set(schema, check);
  }
  return check.Check(document);
}
const CHECKS = new WeakMap<TSchema, ReturnType<typeof Compile>>();

export const ADDRESS = {
  name: 'Wilhelmina Quux',
  line1: '17 Hidden Lane',
  city: 'Austin',
  region: 'TX',
  postalCode: '73301',
  country: 'US',
};
export const EMAIL = 'wilhelmina.quux@example.com';
export const TEXAS = { country: 'US', region: 'TX', postalCode: '73301' };

export interface OpenedCart {
  readonly id: string;
  readonly token: string;
  readonly path: string;
}

export async function openCart(
  shop: MemoryShop,
  body: unknown = { currency: 'USD', destination: TEXAS },
): Promise<OpenedCart> {
  const { body: created } = await shop.call('POST', '/v1/carts', { body });
  return { id: created.cart.id, token: created.token, path: `/v1/carts/${created.cart.id}` };
}
