/**
 * "What would this cart cost, and why": a dry run by the rules as they are, or with a draft of some. Nothing is stored, no actor is asked.
 * The draft makes a book of its own, so that no cart of a shopper is ever priced by it.
 */
import type { PriceBook } from '../../schema/price-book.ts';
import { decideChanges, type RuleChange } from '../../schema/rule-changes.ts';
import { type RuleKind, STORE_ID } from '../../schema/rule-rows.ts';
import { explain } from '../../workers/explain.ts';
import type { PriceRequest } from '../../workers/quote.ts';
import type { App } from '../app.ts';
import { type InputError, problem } from '../problem.ts';
import { explanationDocument, quoteDocument } from '../quote-document.ts';
import { type AnyRoute, type EdgeReply, route } from '../route.ts';
import { storedTimes, timeError } from '../rule-times.ts';
import { PricingAnswer, PricingInput } from '../schemas-pricing.ts';

/** Of a draft that is larger a part can be tried. */
const BODY_BYTES_MAX = 1024 * 1024;

export function adminPricingRoutes(app: App): AnyRoute[] {
  const validate = route({
    method: 'POST',
    path: '/v1/admin/pricing/validate',
    operationId: 'adminValidatePricing',
    summary: 'What a cart would cost, and why',
    tag: 'admin: pricing',
    access: 'viewer',
    limit: 'admin',
    idempotency: 'ignored',
    body: PricingInput,
    maxBodyBytes: BODY_BYTES_MAX,
    responses: { 200: { description: 'The quote and its explanation.', schema: PricingAnswer } },
    handle: (request) => dryRun(app, request.body),
  });
  return [validate];
}

function dryRun(app: App, input: PricingInput): EdgeReply {
  const book = bookWith(app, input);
  if ('errors' in book) return problem('invalid_request', { errors: book.errors });
  const errors = unknownWords(book, input);
  if (errors.length > 0) return problem('invalid_request', { errors });
  const { destination = null, coupons = [], shippingMethod = null, customerGroup = null, channel = 'web' } = input;
  const at = input.at === undefined ? app.clock.now() : Date.parse(input.at);
  if (Number.isNaN(at)) return problem('invalid_request', { errors: [{ path: '/at', message: 'is no time' }] });
  const request: PriceRequest = {
    currency: input.currency ?? book.store.defaultCurrency,
    lines: input.lines.map(({ sku, quantity }, i) => ({ id: lineId(i), sku, quantity })),
    destination,
    coupons,
    shippingMethod,
    customerGroup,
    channel,
    at,
    ...(input.firstOrder === undefined ? undefined : { firstOrder: input.firstOrder }),
    ...(input.exemption === undefined ? undefined : { exemption: input.exemption }),
  };
  const { quote, explanation } = explain(book, request);
  const body = {
    at: new Date(at).toISOString(),
    bookVersion: book.version,
    quote: quoteDocument(quote),
    explanation: explanationDocument(explanation, quote.currency),
  };
  return { status: 200, headers: { 'cache-control': 'no-store' }, body };
}

/** In the order of the lines, as ids are that lines of a cart get one after the other. */
function lineId(index: number): string {
  return `line_${String(index + 1).padStart(3, '0')}`;
}

const DRAFT_KINDS: Readonly<Record<string, RuleKind>> = {
  store: 'store',
  zone: 'zone',
  taxRate: 'tax_rate',
  shippingMethod: 'shipping_method',
  priceList: 'price_list',
  promotion: 'promotion',
  promotionGroup: 'promotion_group',
  coupon: 'coupon',
};

function bookWith({ catalogue, clock }: App, { draft = {} }: PricingInput): PriceBook | { errors: InputError[] } {
  const book = catalogue.book();
  const changes = Object.entries(draft).map(([name, given]): RuleChange => {
    const document = storedTimes(given) as { readonly id?: string; readonly code?: string };
    const id = document.id ?? document.code ?? STORE_ID;
    return { kind: DRAFT_KINDS[name] ?? 'store', id, place: `/draft/${name}`, edit: () => document };
  });
  if (changes.length === 0) return book;
  const hasSku = (sku: string) => catalogue.product(sku) !== undefined;
  const decision = decideChanges(catalogue.rules, hasSku, book.version, changes, clock.now());
  if (!decision.ok) return { errors: decision.code === 'invalid' ? decision.errors.map(timeError) : [] };
  return { ...book, ...catalogue.rules.with(decision.news).book() };
}

/** What no cart could be: in a currency that the store does not sell in, of a group or a channel that it has not. */
function unknownWords({ store }: PriceBook, { currency, customerGroup, channel }: PricingInput): InputError[] {
  const errors: InputError[] = [];
  const check = (path: string, word: string | undefined, known: readonly string[]) => {
    if (word !== undefined && !known.includes(word))
      errors.push({ path, message: known.length === 0 ? 'the store has none' : `must be one of ${known.join(', ')}` });
  };
  check('/currency', currency, store.currencies);
  check('/customerGroup', customerGroup, store.customerGroups ?? []);
  check('/channel', channel, store.channels ?? []);
  return errors;
}
