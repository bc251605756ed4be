/**
 * What a promotion, a group of them or a coupon may be, looked at by itself. Whether what it names exists is a matter of the
 * whole set of rules; see `rule-set.ts`.
 */
import { type Coupon, couponCode } from './coupon.ts';
import { type Promotion, type PromotionGroup, SELECTOR_MAX } from './promotion.ts';
import { type FieldCheck, isObject, isWhole, pointer, type RuleCheck, RuleFields } from './rule-fields.ts';

const COUPON_CODE = /^[A-Z0-9][A-Z0-9._-]{0,63}$/;
const CONDITIONS_MAX = 20;
const SUBTOTAL_MAX = 1_000_000_000_000_000;

export function validatePromotion(input: unknown): RuleCheck<Promotion> {
  const fields = new RuleFields();
  fields.object(
    '',
    input,
    {
      id: fields.id,
      label: fields.label,
      trigger: fields.oneOf('automatic', 'coupon'),
      action: (path, value) => checkAction(fields, path, value),
    },
    {
      active: fields.boolean,
      validity: fields.validity,
      conditions: (path, value) => checkConditions(fields, path, value),
      priority: fields.whole(0, 10_000),
      last: fields.boolean,
      maxAmount: fields.amounts(1),
    },
  );
  return fields.result(input);
}

export function validatePromotionGroup(input: unknown): RuleCheck<PromotionGroup> {
  const fields = new RuleFields();
  fields.object('', input, {
    id: fields.id,
    promotions: fields.set(fields.id, 2, 200),
    choose: fields.oneOf('first', 'best'),
  });
  return fields.result(input);
}

export function validateCoupon(input: unknown): RuleCheck<Coupon> {
  const fields = new RuleFields();
  const code: FieldCheck = (path, value) => {
    const fine = typeof value === 'string' && COUPON_CODE.test(value) && couponCode(value) === value;
    fields.check(path, fine, 'must be 1 to 64 of A-Z 0-9 . _ - and start with a letter or digit');
  };
  const limits: FieldCheck = (path, value) => {
    fields.object(path, value, {}, { total: fields.whole(1, 1_000_000_000), perCustomer: fields.whole(1, 1_000) });
  };
  const terms: Record<string, FieldCheck> = { code, label: fields.label };
  const kind = isObject(input) ? input.kind : undefined;
  if (kind === 'percent') terms.ratePpm = fields.rate(1);
  else if (kind === 'fixed') terms.amounts = fields.amounts(1);
  else if (kind === 'promotion') terms.promotion = fields.id;
  fields.object(
    '',
    input,
    { kind: fields.oneOf('percent', 'fixed', 'promotion'), ...terms },
    { minSubtotal: sums(fields), validity: fields.validity, limits },
  );
  return fields.result(input);
}

function checkConditions(fields: RuleFields, path: string, value: unknown): void {
  const ids = fields.set(fields.id, 1, 100);
  fields.object(
    path,
    value,
    {},
    {
      goods: fields.list((at, goods) => checkGoods(fields, at, goods), 1, CONDITIONS_MAX),
      customerGroups: ids,
      channels: ids,
      firstOrder: fields.boolean,
      zones: ids,
    },
  );
}

function checkGoods(fields: RuleFields, path: string, value: unknown): void {
  const units = fields.whole(1, 1_000_000);
  const given = fields.object(
    path,
    value,
    { items: selector(fields) },
    {
      quantity: (at, range) => {
        const bounds = fields.object(at, range, {}, { min: units, max: units });
        if (isWhole(bounds?.min, 1, 1_000_000) && isWhole(bounds.max, 1, 1_000_000)) {
          fields.check(pointer(at, 'max'), bounds.min <= bounds.max, 'must not be below "min"');
        }
      },
      subtotal: (at, range) => {
        const bounds = fields.object(at, range, {}, { min: sums(fields), max: sums(fields) });
        if (!isObject(bounds?.min) || !isObject(bounds.max)) return;
        for (const [currency, min] of Object.entries(bounds.min)) {
          const max = bounds.max[currency];
          const fine = typeof min !== 'number' || typeof max !== 'number' || min <= max;
          fields.check(pointer(pointer(at, 'max'), currency), fine, 'must not be below "min"');
        }
      },
    },
  );
  if (given === null) return;
  fields.check(path, given.quantity !== undefined || given.subtotal !== undefined, 'must say "quantity" or "subtotal"');
}

function checkAction(fields: RuleFields, path: string, value: unknown): void {
  const kinds = ['percent', 'amount', 'fixed_price', 'buy_get', 'tiers', 'shipping', 'gift'];
  const kind = isObject(value) ? value.kind : undefined;
  const items = selector(fields);
  const says: FieldCheck = fields.oneOf(...kinds);
  switch (kind) {
    case 'percent': {
      const optional = { per: fields.oneOf('order', 'line') };
      fields.object(path, value, { kind: says, items, ratePpm: fields.rate(1) }, optional);
      return;
    }
    case 'amount': {
      const optional = { per: fields.oneOf('order', 'unit') };
      fields.object(path, value, { kind: says, items, amounts: fields.amounts(1) }, optional);
      return;
    }
    case 'fixed_price': {
      const optional = { quantity: fields.whole(1, 100) };
      fields.object(path, value, { kind: says, items, prices: fields.amounts(0) }, optional);
      return;
    }
    case 'buy_get': {
      const quantity = fields.whole(1, 999);
      const buy: FieldCheck = (at, side) => {
        fields.object(at, side, { items, quantity });
      };
      const get: FieldCheck = (at, side) => {
        fields.object(at, side, { items, quantity, ratePpm: fields.rate(1) });
      };
      fields.object(path, value, { kind: says, buy, get }, { timesMax: fields.whole(1, 1_000) });
      return;
    }
    case 'tiers':
      fields.object(path, value, { kind: says, items, tiers: (at, tiers) => checkTiers(fields, at, tiers) });
      return;
    case 'shipping':
      fields.object(
        path,
        value,
        { kind: says, off: (at, off) => checkOff(fields, at, off, true) },
        { methods: fields.set(fields.id, 1, 100) },
      );
      return;
    case 'gift':
      fields.object(path, value, { kind: says, sku: fields.sku }, { quantity: fields.whole(1, 99) });
      return;
    default:
      if (fields.check(path, isObject(value), 'must be an object')) says(pointer(path, 'kind'), kind);
  }
}

function checkTiers(fields: RuleFields, path: string, value: unknown): void {
  const byQuantity = Array.isArray(value) && isObject(value[0]) && value[0].fromQuantity !== undefined;
  const from = byQuantity ? 'fromQuantity' : 'fromSubtotal';
  const start = byQuantity ? fields.whole(1, 1_000_000) : sums(fields);
  const tier: FieldCheck = (at, given) => {
    fields.object(at, given, { [from]: start, off: (to, off) => checkOff(fields, to, off, false) });
  };
  fields.list(tier, 1, 20)(path, value);
  if (!Array.isArray(value)) return;
  for (let i = 1; i < value.length; i++) {
    const [before, after] = [value[i - 1], value[i]].map((one) => (isObject(one) ? one[from] : undefined));
    fields.check(pointer(pointer(path, i), from), rises(before, after), 'must be above that of the tier before');
  }
}

/** Numbers, or amounts in every currency that both name. */
function rises(before: unknown, after: unknown): boolean {
  if (typeof before === 'number' && typeof after === 'number') return before < after;
  if (!isObject(before) || !isObject(after)) return true;
  return Object.entries(before).every(([currency, low]) => {
    const high = after[currency];
    return typeof low !== 'number' || typeof high !== 'number' || low < high;
  });
}

function checkOff(fields: RuleFields, path: string, value: unknown, setsPrice: boolean): void {
  const kind = isObject(value) ? value.kind : undefined;
  const says = setsPrice ? fields.oneOf('percent', 'amount', 'price') : fields.oneOf('percent', 'amount');
  if (kind === 'percent') fields.object(path, value, { kind: says, ratePpm: fields.rate(1) });
  else if (kind === 'price' && setsPrice) fields.object(path, value, { kind: says, prices: fields.amounts(0) });
  else if (kind === 'amount') fields.object(path, value, { kind: says, amounts: fields.amounts(1) });
  else if (fields.check(path, isObject(value), 'must be an object')) says(pointer(path, 'kind'), kind);
}

function selector(fields: RuleFields): FieldCheck {
  const skus = fields.set(fields.sku, 1, SELECTOR_MAX);
  const categories = fields.set(fields.label, 1, SELECTOR_MAX);
  return (path, value) => {
    const given = fields.object(
      path,
      value,
      {},
      { skus, categories, exceptSkus: skus, exceptCategories: categories, notOnSale: fields.boolean },
    );
    if (!Array.isArray(given?.skus) || given.categories !== undefined || !Array.isArray(given.exceptSkus)) return;
    const except = new Set(given.exceptSkus);
    const some = given.skus.some((sku) => !except.has(sku));
    fields.check(pointer(path, 'exceptSkus'), some, 'takes out all that "skus" names, so that nothing is selected');
  };
}

/** Sums of a whole cart by currency: more than a price may be. */
function sums(fields: RuleFields): FieldCheck {
  return (path, value) => {
    if (!fields.check(path, isObject(value), 'must be an object of amounts by currency')) return;
    const entries = Object.entries(value as Readonly<Record<string, unknown>>);
    fields.check(path, entries.length >= 1 && entries.length <= 32, 'must name 1 to 32 currencies');
    for (const [currency, amount] of entries.slice(0, 32)) {
      fields.currency(pointer(path, currency), currency);
      fields.whole(0, SUBTOTAL_MAX)(pointer(path, currency), amount);
    }
  };
}
