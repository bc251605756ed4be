/**
 * What a store, a zone, a price list, a tax rate or a shipping method may be, looked at by itself; the promotions' part is in
 * `promotion-check.ts`. Whether what a rule names exists is a matter of the whole set; see `rule-set.ts`.
 */
import { PRICE_CHANGES_MAX, PRICE_LIST_ENTRIES_MAX, type PriceList, TIERS_MAX } from './price-list.ts';
import { type FieldCheck, isObject, isWhole, pointer, type RuleCheck, RuleFields, SKU } from './rule-fields.ts';
import type { Store } from './rules.ts';
import { SHIPPING_BANDS_MAX, type ShippingMethod } from './shipping-method.ts';
import type { TaxRate } from './tax-rate.ts';
import type { Zone } from './zone.ts';

const POSTAL_PREFIX = /^[A-Z0-9]{1,10}$/;
const WEIGHT_MAX = 1_000_000_000;

export function validateStore(input: unknown): RuleCheck<Store> {
  const fields = new RuleFields();
  const words = fields.set(fields.id, 1, 100);
  const rounding: FieldCheck = (path, value) => {
    fields.object(path, value, { mode: fields.oneOf('half_up', 'half_even'), per: fields.oneOf('line', 'order') });
  };
  const given = fields.object(
    '',
    input,
    {
      defaultCurrency: fields.currency,
      currencies: fields.set(fields.currency, 1, 32),
      defaultShipping: fields.nullOr(fields.id),
    },
    {
      taxRounding: rounding,
      priceTaxes: (path, value) => checkPriceTaxes(fields, path, value),
      shippingTaxedAs: fields.oneOf('method', 'goods'),
      discountMaxPpm: fields.rate(0),
      customerGroups: words,
      channels: words,
    },
  );
  if (Array.isArray(given?.currencies)) {
    const known = given.currencies.includes(given.defaultCurrency);
    fields.check('/defaultCurrency', known, 'must be one of "currencies"');
  }
  return fields.result(input);
}

export function validateZone(input: unknown): RuleCheck<Zone> {
  const fields = new RuleFields();
  const prefix: FieldCheck = (path, value) => {
    const fine = typeof value === 'string' && POSTAL_PREFIX.test(value);
    fields.check(path, fine, 'must be 1 to 10 of A-Z 0-9, without spaces and hyphens');
  };
  const part: FieldCheck = (path, value) => {
    const narrower = { regions: fields.set(fields.region, 1, 100), postalPrefixes: fields.set(prefix, 1, 1_000) };
    fields.object(path, value, { country: fields.country }, narrower);
  };
  fields.object('', input, { id: fields.id, name: fields.label, parts: fields.list(part, 1, 300) });
  return fields.result(input);
}

export function validatePriceList(input: unknown): RuleCheck<PriceList> {
  const fields = new RuleFields();
  const words = fields.set(fields.id, 1, 100);
  fields.object(
    '',
    input,
    {
      id: fields.id,
      name: fields.label,
      currency: fields.currency,
      entries: (path, value) => checkEntries(fields, path, value),
    },
    {
      priority: fields.whole(0, 10_000),
      customerGroups: words,
      channels: words,
      validity: fields.validity,
      priceTaxes: (path, value) => checkPriceTaxes(fields, path, value),
      sale: fields.boolean,
    },
  );
  return fields.result(input);
}

function checkEntries(fields: RuleFields, path: string, value: unknown): void {
  if (!fields.check(path, isObject(value), 'must be an object of prices by sku')) return;
  const entries = Object.entries(value as Readonly<Record<string, unknown>>);
  const some = entries.length <= PRICE_LIST_ENTRIES_MAX;
  if (!fields.check(path, some, `must name at most ${PRICE_LIST_ENTRIES_MAX} skus`)) return;
  for (const [sku, entry] of entries) {
    const at = pointer(path, sku);
    if (!fields.check(at, SKU.test(sku), 'is no sku')) continue;
    const change: FieldCheck = (to, given) => checkPrice(fields, to, given, 'change');
    checkPrice(fields, at, entry, fields.list(change, 1, PRICE_CHANGES_MAX));
  }
}

function checkPrice(fields: RuleFields, path: string, value: unknown, changes: 'change' | FieldCheck): void {
  const tier: FieldCheck = (at, given) => {
    fields.object(at, given, { from: fields.whole(2, 999), amount: fields.amount(0) });
  };
  const instant = fields.whole(0, 8_640_000_000_000_000);
  const given = fields.object(
    path,
    value,
    { amount: fields.amount(0), ...(changes === 'change' ? { at: instant } : undefined) },
    {
      tiers: fields.list(tier, 1, TIERS_MAX),
      compareAt: fields.amount(1),
      ...(changes === 'change' ? undefined : { changes }),
    },
  );
  if (given === null) return;
  const { amount, compareAt } = given;
  const above = typeof compareAt !== 'number' || typeof amount !== 'number' || compareAt > amount;
  fields.check(pointer(path, 'compareAt'), above, 'must be above "amount"');
  checkRising(fields, pointer(path, 'tiers'), given.tiers, 'from');
  checkRising(fields, pointer(path, 'changes'), given.changes, 'at');
}

function checkRising(fields: RuleFields, path: string, list: unknown, name: string): void {
  if (!Array.isArray(list)) return;
  for (let i = 1; i < list.length; i++) {
    const [before, after] = [list[i - 1], list[i]].map((one) => (isObject(one) ? one[name] : undefined));
    const fine = typeof before !== 'number' || typeof after !== 'number' || before < after;
    fields.check(pointer(pointer(path, i), name), fine, `must be above the "${name}" before`);
  }
}

function checkPriceTaxes(fields: RuleFields, path: string, value: unknown): void {
  const says = fields.oneOf('as_rate', 'net', 'gross');
  const home: FieldCheck = (at, place) => {
    fields.object(at, place, { country: fields.country }, { region: fields.region });
  };
  const gross = isObject(value) && value.kind === 'gross';
  fields.object(path, value, gross ? { kind: says, home } : { kind: says });
}

export function validateTaxRate(input: unknown): RuleCheck<TaxRate> {
  const fields = new RuleFields();
  const byZone = isObject(input) && input.zone !== undefined;
  const where: Readonly<Record<string, FieldCheck>> = byZone
    ? { zone: fields.id }
    : { country: fields.country, region: fields.nullOr(fields.region) };
  fields.object(
    '',
    input,
    {
      id: fields.id,
      name: fields.label,
      ...where,
      categories: fields.set(fields.taxCategory, 1, 100),
      ratePpm: fields.rate(0),
      included: fields.boolean,
    },
    {
      compound: fields.boolean,
      validity: fields.validity,
      reverseCharge: fields.boolean,
      exemptible: fields.boolean,
    },
  );
  return fields.result(input);
}

export function validateShippingMethod(input: unknown): RuleCheck<ShippingMethod> {
  const fields = new RuleFields();
  const words = fields.set(fields.id, 1, 100);
  const delivery: FieldCheck = (path, value) => {
    const days = fields.whole(0, 365);
    const given = fields.object(path, value, { minDays: days, maxDays: days });
    if (!isWhole(given?.minDays, 0, 365) || !isWhole(given.maxDays, 0, 365)) return;
    fields.check(pointer(path, 'maxDays'), given.minDays <= given.maxDays, 'must not be below "minDays"');
  };
  const zone: FieldCheck = (path, value) => checkShippingZone(fields, path, value, delivery);
  fields.object(
    '',
    input,
    { id: fields.id, name: fields.label, taxCategory: fields.taxCategory, zones: fields.list(zone, 1, 100) },
    { delivery, validity: fields.validity, customerGroups: words, channels: words, carrierService: fields.label },
  );
  return fields.result(input);
}

function checkShippingZone(fields: RuleFields, path: string, value: unknown, delivery: FieldCheck): void {
  const band: FieldCheck = (at, given) => {
    const one = fields.object(
      at,
      given,
      { prices: fields.amounts(0) },
      {
        maxWeightGrams: fields.whole(1, WEIGHT_MAX),
        maxSubtotal: fields.amounts(1),
        maxItems: fields.whole(1, 1_000_000),
      },
    );
    if (one !== null) checkLastBand(fields, at, value, given);
  };
  fields.object(
    path,
    value,
    { countries: fields.nullOr(fields.set(fields.country, 1, 300)), prices: fields.amounts(0) },
    { zone: fields.id, bands: fields.list(band, 1, SHIPPING_BANDS_MAX), freeFrom: fields.amounts(0), delivery },
  );
}

/** A band without a bound takes every cart: none after it would ever count. */
function checkLastBand(fields: RuleFields, path: string, zone: unknown, band: unknown): void {
  if (!isObject(band) || !isObject(zone) || !Array.isArray(zone.bands)) return;
  const bounded = ['maxWeightGrams', 'maxSubtotal', 'maxItems'].some((name) => band[name] !== undefined);
  fields.check(path, bounded || zone.bands.at(-1) === band, 'has no bound, so that the bands after it never count');
}
