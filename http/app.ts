/**
 * Everything that routes need of the rest of the shop, as one value that the composition root makes. Each part is stated as the
 * little that routes use of it, so that a test can hand in what it likes, and so that this file is the list of what the
 * contract rests on. Parts that may do I/O return a promise or the value itself.
 */
import type { NoticeVerifier } from '../payments/notice.ts';
import type { Clock } from '../runtime/clock.ts';
import type { AnswerRow, RecordedAnswer } from '../runtime/journal.ts';
import type { ActorSystem } from '../runtime/system.ts';
import type { AuditLine, AuditQuery } from '../schema/audit.ts';
import type { ClusterView } from '../schema/cluster-view.ts';
import type { PriceBook } from '../schema/price-book.ts';
import type { Product } from '../schema/product.ts';
import type { ProductQuery } from '../schema/product-index.ts';
import type { OrderCursor, OrderQuery, PaymentQuery, PaymentRecord } from '../schema/read-side.ts';
import type { ChangedBy, RuleChange, RuleOutcome, RulesChanged } from '../schema/rule-changes.ts';
import type { StoredRules } from '../schema/stored-rules.ts';
import type { JobsAdmin } from '../workers/jobs-admin.ts';
import type { PriceRequest, Quote } from '../workers/quote.ts';
import type { CursorPosition } from './cursor.ts';

export type Awaitable<T> = T | Promise<T>;

export interface Pricing {
  /**
   * @param of which state of which cart this is; the quote of a costly one is then kept
   * @throws Fault `pricing_unavailable` or `overloaded`, at once or as a rejection
   */
  price(
    request: PriceRequest,
    options: { readonly final: boolean },
    of?: { readonly id: string; readonly version: number },
  ): Awaitable<Quote>;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Where the next page starts; null: there is none. */
  readonly next: CursorPosition | null;
}

/** The catalogue in this node's memory (`schema/catalogue.ts`). */
export interface CatalogueAccess {
  readonly defaultCurrency: string;
  /** What a cart may be opened in. */
  readonly currencies: readonly string[];
  /** Archived ones too. The same object until the product changes. */
  product(sku: string): Product | undefined;
  list(query: ProductQuery): Page<Product>;
  hasCoupon(code: string): boolean;
  /** Whether there is a promotion for first orders, active or not. */
  countsOrders(): boolean;
  /** Currencies of the price lists that name the sku; nearly always none. */
  listedIn(sku: string): readonly string[];
  /** In the order in which they are offered. */
  shippingMethods(): readonly { readonly id: string; readonly name: string }[];
  /**
   * These three write all or nothing, `answer` in the same transaction.
   * @throws Fault `idempotency_in_progress` where the key has an answer by now
   */
  put(product: Product, answer?: AnswerRow): Promise<unknown>;
  importMany(products: readonly Product[], answer?: AnswerRow): Promise<unknown>;
  /** False: there was none. */
  remove(sku: string, answer?: AnswerRow): Promise<boolean>;
  /** The commercial rules as they are stored. */
  readonly rules: StoredRules;
  /** Of the same version. */
  book(): PriceBook;
  /** All or none, `answer` in the same transaction. */
  changeRules(
    changes: readonly RuleChange[],
    by: ChangedBy,
    answer: (changed: RulesChanged) => AnswerRow | undefined,
  ): Promise<RuleOutcome>;
}

/** The node's copy of the stock (`stock-cache.ts`). */
export interface StockCopy {
  /** The copy as it is; undefined: there is none. */
  get(sku: string): { readonly available: number; readonly version: number } | undefined;
  /** Whether the copy is at most 2 s old, so that `ensure` need not be waited for. */
  isFresh(sku: string): boolean;
  /** Resolves when the copy of each is at most 2 s old. Rejects where the stock cannot be read. */
  ensure(skus: Iterable<string>): Promise<void>;
}

/** Keys of persons (`schema/subjects.ts`): what is sealed under a destroyed key opens to null. */
export interface Subjects {
  /** Makes the subject's key durable, if it has none. Call before the first `seal`. */
  ensure(subject: string): Promise<unknown>;
  seal(subject: string, value: unknown): Awaitable<Uint8Array>;
  open(subject: string, bytes: Uint8Array): Awaitable<unknown>;
  /** Stands for a person where they are counted; see `SubjectKeys.pseudonym`. */
  pseudonym(text: string): string;
}

export interface ReadSide {
  /** Newest first. Which orders; what they are is asked of their actors. */
  listOrders(query: OrderQuery): Promise<readonly OrderCursor[]>;
  listPayments(query: PaymentQuery): Promise<readonly PaymentRecord[]>;
  /** Newest first, without what changes were. */
  listAudit(query: AuditQuery): Promise<readonly AuditLine[]>;
  getAudit(id: string): Promise<AuditLine | null>;
}

export interface CartTokensAccess {
  issue(cartId: string): string;
  opens(token: string | null, cartId: string): boolean;
  candidates(key: string): readonly string[];
}

/** Who an operator is by the credential (`AdminKeys`). */
export interface OperatorsAccess {
  roleOf(bearer: string | null): 'viewer' | 'operator' | 'admin' | null;
}

/** One line of the audit log; never holds a credential or personal data. */
export interface AuditEntry {
  readonly operation: string;
  readonly path: string;
  readonly status: number;
  readonly clientIp: string;
  readonly at: number;
}

/** Recorded answers that belong to no actor (operators' writes). */
export interface AdminAnswers {
  find(scope: string, keyHash: string): Promise<RecordedAnswer | null>;
  /** For a call whose change is in no transaction of ours. An answer that is there already stays. */
  record(row: AnswerRow): Promise<unknown>;
}

/** The cluster as this node reads it from the database. */
export interface ClusterAccess {
  readonly nodeId: string;
  view(): Promise<ClusterView>;
  /** Share of the calls that were decided on this node; null: there was none. */
  localShare(): number | null;
  /** `unknown`: no living member has that name. `last`: no other could take its shards, and nothing was asked. */
  requestDrain(nodeId: string): Promise<'asked' | 'unknown' | 'last'>;
}

export interface AppSettings {
  /** How long a checkout is waited for before 202. Default 5,000. */
  readonly checkoutWaitMs: number;
}

export interface App {
  readonly system: Pick<ActorSystem, 'ask' | 'submit'>;
  readonly clock: Clock;
  readonly catalogue: CatalogueAccess;
  readonly pricing: Pricing;
  readonly stock: StockCopy;
  readonly subjects: Subjects;
  readonly readSide: ReadSide;
  readonly jobs: Pick<JobsAdmin, 'list' | 'get' | 'retry'>;
  readonly cluster: ClusterAccess;
  readonly tokens: CartTokensAccess;
  readonly operators: OperatorsAccess;
  /** For cursors: the first signs, all verify. */
  readonly cursorSecrets: readonly string[];
  /** null: notices of a payment provider are not taken. */
  readonly notices: Pick<NoticeVerifier, 'isGenuine'> | null;
  readonly adminAnswers: AdminAnswers;
  /** A new id, `<prefix>_<uuid v7>`. */
  readonly newId: (prefix: string) => string;
  /** SVG of a product's picture. */
  readonly productImage: (sku: string, name: string, category: string) => string;
  readonly audit?: (entry: AuditEntry) => Awaitable<void>;
  readonly settings: AppSettings;
}
