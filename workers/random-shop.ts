/**
 * Random shops and carts for tests of pricing: small numbers of everything, so that rules meet; amounts from nothing to the limit, so
 * that roundings and big products are met too. The same seed gives the same shop and cart.
 */
import type { Coupon } from '../schema/coupon.ts';
import type { PriceList, PriceListEntry } from '../schema/price-list.ts';
import type {
  AmountAction,
  BuyGetAction,
  FixedPriceAction,
  GiftAction,
  ItemSelector,
  Off,
  PercentAction,
  Promotion,
  PromotionAction,
  PromotionGroup,
  ShippingAction,
} from '../schema/promotion.ts';
import type { Amounts, PriceTaxes, Store, Validity } from '../schema/rules.ts';
import type { ShippingMethod, ShippingZone } from '../schema/shipping-method.ts';
import type { TaxRate } from '../schema/tax-rate.ts';
import type { Zone } from '../schema/zone.ts';
import type { BookParts, BookProduct } from './price-book.ts';
import type { Destination, PriceLine, PriceRequest } from './quote.ts';

export interface RandomCase {
  readonly parts: BookParts;
  readonly request: PriceRequest;
}

const CURRENCIES = ['USD', 'JPY', 'KWD'] as const;
const SKUS = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'] as const;
const CATEGORIES = ['mugs', 'books', 'music'] as const;
const TAX_CATEGORIES = ['standard', 'reduced', 'shipping'] as const;
const PLACES: readonly (Destination | null)[] = [
  null,
  { country: 'XX' },
  { country: 'XX', region: 'R1', postalCode: '123-45' },
  { country: 'XX', region: 'R2', postalCode: '12 9' },
  { country: 'YY' },
  { country: 'ZZ', region: 'R1' },
];
const RATES = [0, 1, 50_000, 62_500, 70_000, 88_750, 99_750, 190_000, 333_333, 1_000_000] as const;

class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 ≤ n < below. mulberry32, public domain (Tommy Ettinger). */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
  some<T>(list: readonly T[]): T[] {
    const picked = list.filter(() => this.chance(50));
    return picked.length === 0 ? [this.of(list)] : picked;
  }
  maybe<T>(percent: number, make: () => T): T | undefined {
    return this.chance(percent) ? make() : undefined;
  }
  amount(): number {
    switch (this.below(12)) {
      case 0:
        return 0;
      case 1:
        return 1 + this.below(9);
      case 2:
        return this.below(10_000) * 1_000_003;
      default:
        return 1 + this.below(6_000);
    }
  }
}

/** Without what is undefined: a document leaves it out. */
function made<T extends object>(fields: { readonly [Name in keyof T]: T[Name] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

export function randomCase(seed: number): RandomCase {
  const dice = new Dice(seed);
  const parts = partsOf(dice);
  return { parts, request: requestOf(dice, parts) };
}

function amounts(dice: Dice, least = 0): Amounts {
  const named = dice.chance(70) ? CURRENCIES : dice.some(CURRENCIES);
  return Object.fromEntries(named.map((currency) => [currency, Math.max(least, dice.amount())]));
}

function validity(dice: Dice): Validity | undefined {
  return dice.maybe(20, () =>
    made<Validity>({ from: dice.maybe(50, () => dice.below(100)), until: dice.maybe(50, () => 100 + dice.below(100)) }),
  );
}

function priceTaxes(dice: Dice): PriceTaxes | undefined {
  return dice.maybe(30, (): PriceTaxes => {
    if (dice.chance(30)) return { kind: 'as_rate' };
    if (dice.chance(50)) return { kind: 'net' };
    return { kind: 'gross', home: dice.chance(50) ? { country: 'XX' } : { country: 'XX', region: 'R1' } };
  });
}

function partsOf(dice: Dice): BookParts {
  const store = made<Store>({
    defaultCurrency: 'USD',
    currencies: CURRENCIES,
    defaultShipping: dice.chance(80) ? 's0' : null,
    taxRounding: dice.maybe(60, () => ({
      mode: dice.of(['half_up', 'half_even'] as const),
      per: dice.of(['line', 'order'] as const),
    })),
    priceTaxes: priceTaxes(dice),
    shippingTaxedAs: dice.maybe(30, () => dice.of(['method', 'goods'] as const)),
    discountMaxPpm: dice.maybe(10, () => dice.below(1_000_001)),
    customerGroups: ['vip', 'trade'],
    channels: ['web', 'pos'],
  });
  const products = Object.fromEntries(SKUS.map((sku) => [sku, productOf(dice, sku)]));
  const promotions = Array.from({ length: dice.below(6) }, (_, i) => promotionOf(dice, i));
  return {
    version: 1,
    store,
    products,
    zones: [zoneOf(dice, 'z0'), zoneOf(dice, 'z1')],
    priceLists: Array.from({ length: dice.below(4) }, (_, i) => listOf(dice, i)),
    promotions,
    promotionGroups: groupsOf(dice, promotions),
    coupons: couponsOf(dice, promotions),
    taxRates: Array.from({ length: dice.below(6) }, (_, i) => rateOf(dice, i)),
    shippingMethods: Array.from({ length: dice.below(4) }, (_, i) => methodOf(dice, i)),
  };
}

function productOf(dice: Dice, sku: string): BookProduct {
  const prices = amounts(dice);
  return made<BookProduct>({
    name: sku,
    category: dice.of(CATEGORIES),
    active: !dice.chance(5),
    taxCategory: dice.of(TAX_CATEGORIES),
    prices,
    compareAtPrices: dice.maybe(20, () =>
      Object.fromEntries(Object.entries(prices).map(([currency, price]) => [currency, price + 1 + dice.below(500)])),
    ),
    weightGrams: dice.maybe(60, () => dice.below(3_000)),
    digital: dice.maybe(15, () => true),
  });
}

function zoneOf(dice: Dice, id: string): Zone {
  const part = () =>
    made<Zone['parts'][number]>({
      country: dice.of(['XX', 'YY', 'ZZ']),
      regions: dice.maybe(40, () => dice.some(['R1', 'R2'])),
      postalPrefixes: dice.maybe(30, () => dice.some(['12', '1234', '129', '9'])),
    });
  return { id, name: id, parts: [part(), part()] };
}

function listOf(dice: Dice, index: number): PriceList {
  const currency = dice.of(CURRENCIES);
  const price = () => {
    const amount = dice.amount();
    return made<PriceListEntry>({
      amount,
      tiers: dice.maybe(40, () => [
        { from: 2 + dice.below(2), amount: dice.amount() },
        { from: 5, amount: dice.amount() },
      ]),
      compareAt: dice.maybe(20, () => amount + 1),
    });
  };
  const entries = dice.some(SKUS).map((sku) => {
    const changes = dice.maybe(20, () => [
      { ...price(), at: 40 },
      { ...price(), at: 90 + dice.below(30) },
    ]);
    return [sku, changes === undefined ? price() : { ...price(), changes }] as const;
  });
  return made<PriceList>({
    id: `l${index}`,
    name: 'L',
    currency,
    priority: dice.maybe(40, () => dice.below(3)),
    customerGroups: dice.maybe(30, () => dice.some(['vip', 'trade'])),
    channels: dice.maybe(20, () => ['web']),
    validity: validity(dice),
    priceTaxes: priceTaxes(dice),
    sale: dice.maybe(20, () => true),
    entries: Object.fromEntries(entries),
  });
}

function selector(dice: Dice): ItemSelector {
  return made<ItemSelector>({
    skus: dice.maybe(30, () => dice.some(SKUS)),
    categories: dice.maybe(30, () => dice.some(CATEGORIES)),
    exceptSkus: dice.maybe(10, () => [dice.of(SKUS)]),
    exceptCategories: dice.maybe(5, () => [dice.of(CATEGORIES)]),
    notOnSale: dice.maybe(15, () => true),
  });
}

const rate = (dice: Dice) => Math.max(1, dice.of(RATES));

function off(dice: Dice): Off {
  return dice.chance(50) ? { kind: 'percent', ratePpm: rate(dice) } : { kind: 'amount', amounts: amounts(dice, 1) };
}

function actionOf(dice: Dice): PromotionAction {
  const items = selector(dice);
  switch (dice.below(8)) {
    case 0:
      return made<PercentAction>({
        kind: 'percent',
        items,
        ratePpm: rate(dice),
        per: dice.maybe(50, () => dice.of(['order', 'line'])),
      });
    case 1:
      return made<AmountAction>({
        kind: 'amount',
        items,
        amounts: amounts(dice, 1),
        per: dice.maybe(50, () => dice.of(['order', 'unit'])),
      });
    case 2:
      return made<FixedPriceAction>({
        kind: 'fixed_price',
        items,
        quantity: dice.maybe(60, () => 1 + dice.below(4)),
        prices: amounts(dice),
      });
    case 3:
    case 4:
      return made<BuyGetAction>({
        kind: 'buy_get',
        buy: { items: dice.chance(50) ? items : selector(dice), quantity: 1 + dice.below(3) },
        get: { items, quantity: 1 + dice.below(2), ratePpm: dice.chance(60) ? 1_000_000 : rate(dice) },
        timesMax: dice.maybe(30, () => 1 + dice.below(3)),
      });
    case 5: {
      const from = 1 + dice.below(3);
      return dice.chance(50)
        ? { kind: 'tiers', items, tiers: [from, from + 3].map((fromQuantity) => ({ fromQuantity, off: off(dice) })) }
        : { kind: 'tiers', items, tiers: [{ fromSubtotal: { USD: 10, JPY: 1_000 }, off: off(dice) }] };
    }
    case 6:
      return made<ShippingAction>({
        kind: 'shipping',
        methods: dice.maybe(30, () => [dice.of(['s0', 's1'])]),
        off: dice.chance(60) ? off(dice) : { kind: 'price', prices: amounts(dice) },
      });
    default:
      return made<GiftAction>({ kind: 'gift', sku: dice.of(SKUS), quantity: dice.maybe(30, () => 2) });
  }
}

function promotionOf(dice: Dice, index: number): Promotion {
  const goods = () => ({
    items: selector(dice),
    ...(dice.chance(60) ? { quantity: { min: 1 + dice.below(3) } } : { subtotal: { min: amounts(dice) } }),
    ...(dice.chance(10) ? { quantity: { max: 5 } } : undefined),
  });
  return made<Promotion>({
    id: `p${index}`,
    label: 'P',
    active: dice.maybe(5, () => false),
    trigger: dice.chance(70) ? 'automatic' : 'coupon',
    validity: validity(dice),
    conditions: dice.maybe(40, () =>
      made<NonNullable<Promotion['conditions']>>({
        goods: dice.maybe(60, () => [goods()]),
        customerGroups: dice.maybe(15, () => ['vip']),
        channels: dice.maybe(15, () => ['web']),
        firstOrder: dice.maybe(15, () => true),
        zones: dice.maybe(20, () => ['z0']),
      }),
    ),
    action: actionOf(dice),
    priority: dice.maybe(40, () => dice.below(3)),
    last: dice.maybe(8, () => true),
    maxAmount: dice.maybe(15, () => amounts(dice, 1)),
  });
}

function groupsOf(dice: Dice, promotions: readonly Promotion[]): PromotionGroup[] {
  if (promotions.length < 2 || dice.chance(50)) return [];
  const members = promotions.map(({ id }) => id).slice(0, 2 + dice.below(3));
  return [{ id: 'g', promotions: members, choose: dice.of(['first', 'best']) }];
}

function couponsOf(dice: Dice, promotions: readonly Promotion[]): Coupon[] {
  const terms = (code: string) =>
    made<Pick<Coupon, 'code' | 'label' | 'minSubtotal' | 'validity'>>({
      code,
      label: code,
      minSubtotal: dice.maybe(20, () => amounts(dice)),
      validity: validity(dice),
    });
  const opened = promotions.filter(({ trigger }) => trigger === 'coupon');
  const coupons: Coupon[] = [
    { ...terms('TEN'), kind: 'percent', ratePpm: 100_000 },
    { ...terms('THIRD'), kind: 'percent', ratePpm: rate(dice) },
    { ...terms('FIX'), kind: 'fixed', amounts: amounts(dice, 1) },
  ];
  for (const [i, { id }] of opened.entries()) coupons.push({ ...terms(`OPEN${i}`), kind: 'promotion', promotion: id });
  if (opened[0] !== undefined) coupons.push({ ...terms('ALSO'), kind: 'promotion', promotion: opened[0].id });
  return coupons;
}

function rateOf(dice: Dice, index: number): TaxRate {
  const where = dice.chance(40)
    ? { zone: dice.of(['z0', 'z1']) }
    : { country: dice.of(['XX', 'YY']), region: dice.chance(60) ? null : dice.of(['R1', 'R2']) };
  return {
    ...made<object>({
      id: `r${index}`,
      name: `R${index}`,
      categories: dice.some(TAX_CATEGORIES),
      ratePpm: dice.of(RATES),
      included: dice.chance(45),
      compound: dice.maybe(25, () => true),
      validity: validity(dice),
      reverseCharge: dice.maybe(40, () => true),
      exemptible: dice.maybe(15, () => false),
    }),
    ...where,
  } as TaxRate;
}

function methodOf(dice: Dice, index: number): ShippingMethod {
  const zone = (everywhere: boolean) =>
    made<ShippingZone>({
      countries: everywhere ? null : dice.some(['XX', 'YY', 'ZZ']),
      zone: everywhere ? undefined : dice.maybe(30, () => dice.of(['z0', 'z1'])),
      prices: amounts(dice),
      bands: dice.maybe(40, () => [
        { maxWeightGrams: 2_000, prices: amounts(dice) },
        { maxItems: 6, maxSubtotal: { USD: 9_000, KWD: 50_000 }, prices: amounts(dice) },
        ...(dice.chance(60) ? [{ prices: amounts(dice) }] : []),
      ]),
      freeFrom: dice.maybe(30, () => amounts(dice, 1)),
    });
  return made<ShippingMethod>({
    id: `s${index}`,
    name: 'S',
    taxCategory: dice.of(TAX_CATEGORIES),
    zones: [zone(false), zone(dice.chance(70))],
    validity: validity(dice),
    customerGroups: dice.maybe(10, () => ['vip']),
    channels: undefined,
    carrierService: undefined,
    delivery: undefined,
  });
}

function requestOf(dice: Dice, { coupons = [] }: BookParts): PriceRequest {
  const lines = Array.from({ length: dice.below(7) }, (_, i): PriceLine => {
    const quantity = dice.chance(5) ? 1 + dice.below(999) : 1 + dice.below(6);
    const line = { id: `lin_${(i * 5) % 7}`, sku: dice.chance(3) ? 'GHOST' : dice.of(SKUS), quantity };
    const locked = dice.maybe(8, () => ({ unitPrice: dice.amount(), list: dice.chance(50) ? null : 'l0' }));
    return locked === undefined ? line : { ...line, locked };
  });
  const codes = [...coupons.map(({ code }) => code), 'NONE'].filter(() => dice.chance(25));
  return made<PriceRequest>({
    currency: dice.of(CURRENCIES),
    lines,
    destination: dice.of(PLACES),
    coupons: codes,
    shippingMethod: dice.chance(50) ? null : dice.of(['s0', 's1', 's2']),
    at: dice.below(200),
    customerGroup: dice.maybe(40, () => dice.of(['vip', 'trade'])),
    channel: dice.maybe(60, () => dice.of(['web', 'pos'])),
    firstOrder: dice.maybe(20, () => true),
    exemption: dice.maybe(15, () => ({
      kind: dice.of(['exempt', 'reverse_charge'] as const),
      id: 'EX1',
      ...(dice.chance(30) ? { countries: ['XX'] } : undefined),
    })),
    withoutGifts: dice.maybe(10, () => ['p0', 'p1']),
    carrierPrices: dice.maybe(10, () => ({ s0: dice.amount() })),
  });
}
