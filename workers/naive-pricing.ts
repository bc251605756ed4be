/**
 * Pricing a second time, for tests: written from the docstrings of `schema/` and `quote.ts` alone, as plainly as they read, in exact
 * fractions, without indexes, caches or shortcuts. It is slow, and shares no line with the engine; where both agree on many random
 * carts, a mistake would have to have been made twice.
 */
import type { Coupon } from '../schema/coupon.ts';
import type { PriceBook } from '../schema/price-book.ts';
import type { ItemSelector, Off, Promotion } from '../schema/promotion.ts';
import type { Amounts, PriceTaxes, Validity } from '../schema/rules.ts';
import type { TaxRate } from '../schema/tax-rate.ts';
import type { Zone } from '../schema/zone.ts';
import type { Destination, PriceRequest } from './quote.ts';

/** A fraction: numerator and denominator, the denominator above 0. */
type Q = readonly [bigint, bigint];
const q = (n: number | bigint, d: number | bigint = 1n): Q => [BigInt(n), BigInt(d)];
const add = (a: Q, b: Q): Q => [a[0] * b[1] + b[0] * a[1], a[1] * b[1]];
const mul = (a: Q, b: Q): Q => [a[0] * b[0], a[1] * b[1]];
const div = (a: Q, b: Q): Q => [a[0] * b[1], a[1] * b[0]];
const less = (a: Q, b: Q): boolean => a[0] * b[1] < b[0] * a[1];
const same = (a: Q, b: Q): boolean => a[0] * b[1] === b[0] * a[1];
const floor = (a: Q): bigint => a[0] / a[1];
const ppm = (rate: number): Q => q(rate, 1_000_000n);

function round(a: Q, mode: 'half_up' | 'half_even'): bigint {
  const down = floor(a);
  const rest = add(a, q(-down));
  const half = q(1, 2);
  if (less(rest, half)) return down;
  if (less(half, rest)) return down + 1n;
  return mode === 'half_up' || down % 2n !== 0n ? down + 1n : down;
}
const halfUp = (a: Q): bigint => round(a, 'half_up');

/** Hands out `whole` by exact share; what is left goes one by one to the largest remainders, then the lowest ids. */
function handOut(whole: bigint, parts: readonly { readonly weight: Q; readonly id: string }[]): bigint[] {
  const sum = parts.reduce((total, { weight }) => add(total, weight), q(0));
  if (sum[0] === 0n || whole === 0n) return parts.map(() => 0n);
  const exact = parts.map(({ weight }) => div(mul(q(whole), weight), sum));
  const given = exact.map(floor);
  let left = whole - given.reduce((total, part) => total + part, 0n);
  const order = parts
    .map(({ id }, i) => ({ id, i, rest: add(exact[i] as Q, q(-(given[i] as bigint))) }))
    .sort((a, b) => (less(b.rest, a.rest) ? -1 : less(a.rest, b.rest) ? 1 : a.id < b.id ? -1 : 1));
  for (const { i } of order) {
    if (left === 0n) break;
    given[i] = (given[i] as bigint) + 1n;
    left -= 1n;
  }
  return given;
}

export interface NaiveLine {
  readonly id: string;
  readonly sku: string;
  readonly quantity: bigint;
  readonly status: 'priced' | 'gone' | 'without_price';
  readonly category: string;
  readonly taxCategory: string;
  readonly physical: boolean;
  readonly weight: bigint;
  readonly unit: bigint;
  readonly onSale: boolean;
  discount: bigint;
  tax: bigint;
  taxIncluded: bigint;
}
export interface NaiveQuote {
  readonly lines: readonly { id: string; unitPrice: number; discount: number; tax: number; taxIncluded: number }[];
  readonly gifts: readonly string[];
  readonly discounts: readonly { code: string; amount: number; shippingAmount: number }[];
  readonly shipping: { method: string; price: number; tax: number; taxIncluded: number } | null;
  readonly taxes: readonly { id: string; base: number; amount: number }[];
  readonly total: number;
}

const holds = (validity: Validity | undefined, at: number): boolean =>
  (validity?.from ?? -Infinity) <= at && at < (validity?.until ?? Infinity);
const allows = (words: readonly string[] | undefined, word: string | null | undefined): boolean =>
  words === undefined || words.some((one) => one === word);
const named = (amounts: Amounts | undefined, currency: string): bigint | null =>
  amounts !== undefined && Object.hasOwn(amounts, currency) ? BigInt(amounts[currency] as number) : null;

function isPlaceIn(zone: Zone, place: Destination): boolean {
  for (const { country, regions, postalPrefixes } of zone.parts) {
    const code = (place.postalCode ?? '').toUpperCase().replaceAll(' ', '').replaceAll('-', '');
    const here = country === place.country;
    const inRegion = regions === undefined || regions.includes(place.region ?? '?');
    const inCode =
      postalPrefixes === undefined || postalPrefixes.some((start) => code !== '' && code.startsWith(start));
    if (here && inRegion && inCode) return true;
  }
  return false;
}

export function naivePrice(book: PriceBook, request: PriceRequest): NaiveQuote {
  return new Naive(book, request).price();
}

class Naive {
  private readonly book: PriceBook;
  private readonly request: PriceRequest;
  private readonly at: number;
  private lines: NaiveLine[] = [];
  private readonly offs: {
    code: string;
    amount: bigint;
    shipping: Promotion | null;
    gift: Promotion | null;
    taken: bigint;
  }[] = [];
  private stopped = false;
  private budget: bigint | null = null;

  constructor(book: PriceBook, request: PriceRequest) {
    this.book = book;
    this.request = request;
    this.at = request.at ?? 0;
  }

  get mode() {
    return this.book.store.taxRounding?.mode ?? 'half_up';
  }

  // --- places and rates ---

  ratesAt(place: Destination | null, category: string): TaxRate[] {
    if (place === null) return [];
    return this.book.taxRates.filter((rate) => {
      if (!rate.categories.includes(category) || !holds(rate.validity, this.at)) return false;
      if ('zone' in rate) {
        const zone = this.book.zones.get(rate.zone);
        return zone !== undefined && isPlaceIn(zone, place);
      }
      return rate.country === place.country && (rate.region === null || rate.region === place.region);
    });
  }

  spared(rate: TaxRate): boolean {
    const { exemption, destination } = this.request;
    if (!exemption || destination === null) return false;
    if (exemption.countries !== undefined && !exemption.countries.includes(destination.country)) return false;
    return exemption.kind === 'exempt' ? (rate.exemptible ?? true) : (rate.reverseCharge ?? false);
  }

  /** What a price with these rates in it is of one without. */
  factor(rates: readonly TaxRate[]): Q {
    let simple = q(1);
    for (const rate of rates) if (!rate.compound) simple = add(simple, ppm(rate.ratePpm));
    for (const rate of rates) if (rate.compound) simple = mul(simple, add(q(1), ppm(rate.ratePpm)));
    return simple;
  }

  toMarket(amount: bigint, taxes: PriceTaxes, category: string): bigint {
    const { destination } = this.request;
    if (destination === null) return amount;
    const here = this.ratesAt(destination, category).filter(({ included }) => included);
    const paid = this.factor(here.filter((rate) => !this.spared(rate)));
    const has =
      taxes.kind === 'net'
        ? q(1)
        : taxes.kind === 'gross'
          ? this.factor(this.ratesAt(taxes.home, category))
          : this.factor(here);
    return same(has, paid) ? amount : round(div(mul(q(amount), paid), has), this.mode);
  }

  // --- lines ---

  makeLines(): void {
    const { currency } = this.request;
    const lists = this.book.priceLists
      .filter(
        (list) =>
          list.currency === currency &&
          holds(list.validity, this.at) &&
          allows(list.customerGroups, this.request.customerGroup) &&
          allows(list.channels, this.request.channel),
      )
      .sort((a, b) => (a.priority ?? 1000) - (b.priority ?? 1000) || (a.id < b.id ? -1 : 1));
    this.lines = this.request.lines.map((line): NaiveLine => {
      const product = this.book.products.get(line.sku);
      const base = {
        id: line.id,
        sku: line.sku,
        quantity: BigInt(line.quantity),
        category: product?.category ?? '',
        taxCategory: product?.taxCategory ?? '',
        physical: product !== undefined && product.digital !== true,
        weight: BigInt(product?.weightGrams ?? 0),
        discount: 0n,
        tax: 0n,
        taxIncluded: 0n,
      };
      if (product?.active !== true) return { ...base, status: 'gone', unit: 0n, onSale: false };
      let amount: number | undefined;
      let compareAt: number | undefined;
      let sale = false;
      let taxes: PriceTaxes = { kind: 'as_rate' };
      const list = lists.find(({ entries }) => Object.hasOwn(entries, line.sku));
      if (line.locked !== undefined) {
        amount = line.locked.unitPrice;
        compareAt = line.locked.compareAt;
        const from = this.book.priceLists.find(({ id }) => id === line.locked?.list);
        taxes = (line.locked.list === null ? this.book.store.priceTaxes : from?.priceTaxes) ?? taxes;
        sale = line.locked.sale ?? false;
      } else if (list !== undefined) {
        const entry = list.entries[line.sku];
        const price = [entry, ...(entry?.changes ?? []).filter(({ at }) => at <= this.at)].at(-1);
        amount = [...(price?.tiers ?? [])].reverse().find(({ from }) => from <= line.quantity)?.amount ?? price?.amount;
        compareAt = price?.compareAt;
        sale = list.sale ?? false;
        taxes = list.priceTaxes ?? taxes;
      } else {
        amount = product.prices[currency];
        compareAt = product.compareAtPrices?.[currency];
        taxes = this.book.store.priceTaxes ?? taxes;
      }
      if (amount === undefined) return { ...base, status: 'without_price', unit: 0n, onSale: false };
      const above = compareAt !== undefined && compareAt > amount;
      const onSale = line.locked?.sale ?? (sale || above);
      return { ...base, status: 'priced', unit: this.toMarket(BigInt(amount), taxes, product.taxCategory), onSale };
    });
  }

  get sold(): NaiveLine[] {
    return this.lines.filter(({ status }) => status === 'priced');
  }
  subtotal(line: NaiveLine): bigint {
    return line.unit * line.quantity;
  }
  left(line: NaiveLine): bigint {
    return this.subtotal(line) - line.discount;
  }
  sum(lines: readonly NaiveLine[], of: (line: NaiveLine) => bigint): bigint {
    return lines.reduce((total, line) => total + of(line), 0n);
  }

  select(items: ItemSelector): NaiveLine[] {
    return this.sold.filter((line) => {
      const any = items.skus === undefined && items.categories === undefined;
      if (!any && !items.skus?.includes(line.sku) && !items.categories?.includes(line.category)) return false;
      if (items.exceptSkus?.includes(line.sku) || items.exceptCategories?.includes(line.category)) return false;
      return !(items.notOnSale === true && line.onSale);
    });
  }

  // --- promotions ---

  isOpen(promotion: Promotion): boolean {
    const { conditions = {}, validity } = promotion;
    const { currency, customerGroup, channel, firstOrder, destination } = this.request;
    if (promotion.active === false || !holds(validity, this.at)) return false;
    if (!allows(conditions.customerGroups, customerGroup) || !allows(conditions.channels, channel)) return false;
    if (conditions.firstOrder === true && firstOrder !== true) return false;
    if (conditions.zones !== undefined) {
      const zones = conditions.zones.map((id) => this.book.zones.get(id));
      if (destination === null || !zones.some((zone) => zone !== undefined && isPlaceIn(zone, destination)))
        return false;
    }
    for (const { items, quantity, subtotal } of conditions.goods ?? []) {
      const lines = this.select(items);
      const units = this.sum(lines, (line) => line.quantity);
      const worth = this.sum(lines, (line) => this.subtotal(line));
      if (quantity?.min !== undefined && units < BigInt(quantity.min)) return false;
      if (quantity?.max !== undefined && units > BigInt(quantity.max)) return false;
      if (subtotal?.min !== undefined) {
        const min = named(subtotal.min, currency);
        if (min === null || worth < min) return false;
      }
      if (subtotal?.max !== undefined) {
        const max = named(subtotal.max, currency);
        if (max === null || worth > max) return false;
      }
    }
    return true;
  }

  /** What each line would get, by id. */
  taken(promotion: Promotion): Map<NaiveLine, bigint> {
    const { action } = promotion;
    const { currency } = this.request;
    const result = new Map<NaiveLine, bigint>();
    const take = (line: NaiveLine, amount: bigint): void => {
      result.set(line, (result.get(line) ?? 0n) + amount);
    };
    const together = (lines: readonly NaiveLine[], amount: bigint): void => {
      const parts = handOut(
        amount,
        lines.map((line) => ({ weight: q(this.left(line)), id: line.id })),
      );
      lines.forEach((line, i) => {
        take(line, parts[i] as bigint);
      });
    };
    const off = (lines: readonly NaiveLine[], what: Off): void => {
      const left = this.sum(lines, (line) => this.left(line));
      if (what.kind === 'percent') together(lines, halfUp(mul(q(left), ppm(what.ratePpm))));
      else {
        const amount = named(what.amounts, currency) ?? 0n;
        together(lines, amount < left ? amount : left);
      }
    };
    switch (action.kind) {
      case 'percent':
        if (action.per === 'line') {
          for (const line of this.select(action.items))
            take(line, halfUp(mul(q(this.left(line)), ppm(action.ratePpm))));
        } else off(this.select(action.items), { kind: 'percent', ratePpm: action.ratePpm });
        break;
      case 'amount':
        if (action.per === 'unit') {
          for (const line of this.select(action.items)) {
            const wanted = (named(action.amounts, currency) ?? 0n) * line.quantity;
            take(line, wanted < this.left(line) ? wanted : this.left(line));
          }
        } else off(this.select(action.items), { kind: 'amount', amounts: action.amounts });
        break;
      case 'tiers': {
        const lines = this.select(action.items);
        const units = this.sum(lines, (line) => line.quantity);
        const worth = this.sum(lines, (line) => this.subtotal(line));
        let best: Off | null = null;
        for (const tier of action.tiers) {
          const from = 'fromQuantity' in tier ? BigInt(tier.fromQuantity) : named(tier.fromSubtotal, currency);
          if (from !== null && from <= ('fromQuantity' in tier ? units : worth)) best = tier.off;
        }
        if (best !== null) off(lines, best);
        break;
      }
      case 'fixed_price': {
        const price = named(action.prices, currency);
        if (price !== null) this.bundles(this.select(action.items), BigInt(action.quantity ?? 1), price, take);
        break;
      }
      case 'buy_get':
        this.buyGet(action, take);
        break;
      case 'shipping':
      case 'gift':
        break;
    }
    return result;
  }

  /** What the first `units` of a line are worth by now. */
  worth(line: NaiveLine, units: bigint): bigint {
    return halfUp(q(this.left(line) * units, line.quantity));
  }

  bundles(
    all: readonly NaiveLine[],
    size: bigint,
    price: bigint,
    take: (line: NaiveLine, amount: bigint) => void,
  ): void {
    const lines = [...all].sort((a, b) => (a.unit > b.unit ? -1 : a.unit < b.unit ? 1 : a.id < b.id ? -1 : 1));
    // Every unit by itself, in a row: which bundle it falls into.
    const row = lines.flatMap((line) =>
      Array.from({ length: Number(line.quantity) }, (_, i) => ({ line, i: BigInt(i) })),
    );
    const count = row.length / Number(size);
    let n = 0;
    while (n + 1 <= count) {
      const units = row.slice(n * Number(size), (n + 1) * Number(size));
      const within = [...new Set(units.map(({ line }) => line))];
      if (within.length === 1) {
        // All bundles that lie wholly in this line are taken together.
        const line = within[0] as NaiveLine;
        let last = n;
        const isWhole = (at: number) => {
          const other = row.slice(at * Number(size), (at + 1) * Number(size));
          return other.length === Number(size) && other.every((unit) => unit.line === line);
        };
        while (isWhole(last + 1)) last++;
        const first = units[0]?.i ?? 0n;
        const bundles = BigInt(last - n + 1);
        const saved = this.worth(line, first + bundles * size) - this.worth(line, first) - bundles * price;
        if (saved > 0n) take(line, saved);
        n = last + 1;
        continue;
      }
      const parts = within.map((line) => {
        const mine = units.filter((unit) => unit.line === line);
        const first = mine[0]?.i ?? 0n;
        return { line, worth: this.worth(line, first + BigInt(mine.length)) - this.worth(line, first) };
      });
      const saved = parts.reduce((total, part) => total + part.worth, 0n) - price;
      if (saved > 0n) {
        const shares = handOut(
          saved,
          parts.map(({ line, worth }) => ({ weight: q(worth), id: line.id })),
        );
        parts.forEach(({ line }, i) => {
          take(line, shares[i] as bigint);
        });
      }
      n++;
    }
  }

  buyGet(
    action: Extract<Promotion['action'], { kind: 'buy_get' }>,
    take: (line: NaiveLine, amount: bigint) => void,
  ): void {
    const bought = new Set(this.select(action.buy.items));
    const given = new Set(this.select(action.get.items));
    // As often as there are units for both sides: tried one by one, from the most there could be.
    const count = (lines: NaiveLine[]) => Number(this.sum(lines, (line) => line.quantity));
    const onlyBuy = count([...bought].filter((line) => !given.has(line)));
    const onlyGet = count([...given].filter((line) => !bought.has(line)));
    const both = count([...given].filter((line) => bought.has(line)));
    let times = action.timesMax ?? 1_000_000;
    const enough = () => {
      const lackGet = Math.max(0, times * action.get.quantity - onlyGet);
      const lackBuy = Math.max(0, times * action.buy.quantity - onlyBuy);
      return lackGet + lackBuy <= both;
    };
    times = Math.min(times, both + onlyGet + 1);
    while (times > 0 && !enough()) times--;
    let wanted = times * action.get.quantity;
    let spare = both - Math.max(0, times * action.buy.quantity - onlyBuy);
    const cheapest = [...given].sort((a, b) => (a.unit < b.unit ? -1 : a.unit > b.unit ? 1 : a.id < b.id ? -1 : 1));
    for (const line of cheapest) {
      let units = 0;
      for (let i = 0; i < Number(line.quantity) && wanted > 0; i++) {
        if (bought.has(line)) {
          if (spare === 0) break;
          spare--;
        }
        wanted--;
        units++;
      }
      const part = mul(q(this.left(line) * BigInt(units), line.quantity), ppm(action.get.ratePpm));
      if (units > 0) take(line, halfUp(part));
    }
  }

  cap(taken: Map<NaiveLine, bigint>, limit: bigint | null): Map<NaiveLine, bigint> {
    const sum = [...taken.values()].reduce((total, amount) => total + amount, 0n);
    if (limit === null || sum <= limit) return taken;
    const lines = [...taken.keys()];
    const parts = handOut(
      limit,
      lines.map((line) => ({ weight: q(taken.get(line) ?? 0n), id: line.id })),
    );
    return new Map(lines.map((line, i) => [line, parts[i] as bigint]));
  }

  /** What it would do now; null: nothing. */
  outcome(promotion: Promotion): { taken: Map<NaiveLine, bigint>; worth: bigint } | null {
    if (this.stopped || !this.isOpen(promotion)) return null;
    const { action } = promotion;
    if (action.kind === 'gift') {
      if (this.request.withoutGifts?.includes(promotion.id) || this.sold.length === 0) return null;
      return this.book.products.get(action.sku)?.active === true ? { taken: new Map(), worth: 0n } : null;
    }
    const max = named(promotion.maxAmount, this.request.currency);
    if (action.kind === 'shipping') {
      const now = this.chosenShipping();
      if (now === null) return null;
      let price = now.price;
      for (const { shipping } of this.offs)
        if (shipping !== null) price -= this.offShipping(shipping, now.method, price);
      const worth = this.offShipping(promotion, now.method, price);
      return worth > 0n ? { taken: new Map(), worth } : null;
    }
    const limit = max === null ? this.budget : this.budget === null || max < this.budget ? max : this.budget;
    const taken = this.cap(this.taken(promotion), limit);
    const worth = [...taken.values()].reduce((total, amount) => total + amount, 0n);
    return worth > 0n ? { taken, worth } : null;
  }

  apply(code: string, promotion: Promotion | null, taken: Map<NaiveLine, bigint>): void {
    let amount = 0n;
    for (const [line, part] of taken) {
      line.discount += part;
      amount += part;
    }
    if (this.budget !== null) this.budget -= amount;
    const kind = promotion?.action.kind;
    const shipping = kind === 'shipping' ? promotion : null;
    this.offs.push({ code, amount, shipping, gift: kind === 'gift' ? promotion : null, taken: 0n });
    if (promotion?.last === true) this.stopped = true;
  }

  couponOpen(coupon: Coupon): boolean {
    if (!holds(coupon.validity, this.at)) return false;
    if (coupon.minSubtotal === undefined) return true;
    const min = named(coupon.minSubtotal, this.request.currency);
    return min !== null && this.sum(this.sold, (line) => this.subtotal(line)) >= min;
  }

  promote(): void {
    const ppmMax = this.book.store.discountMaxPpm;
    if (ppmMax !== undefined) {
      this.budget = floor(mul(q(this.sum(this.sold, (line) => this.subtotal(line))), ppm(ppmMax)));
    }
    const codes = [...new Set(this.request.coupons.map((code) => code.trim().toUpperCase()))].sort();
    const coupons = codes
      .flatMap((code) => this.book.coupons.get(code) ?? [])
      .filter((coupon) => this.couponOpen(coupon));
    const opens = new Map<string, string>();
    for (const coupon of coupons) {
      if (coupon.kind === 'promotion' && !opens.has(coupon.promotion)) opens.set(coupon.promotion, coupon.code);
    }
    const inOrder = [...this.book.promotions]
      .filter(({ id, trigger, active }) => active !== false && (trigger === 'automatic' || opens.has(id)))
      .sort((a, b) => (a.priority ?? 1000) - (b.priority ?? 1000) || (a.id < b.id ? -1 : 1));
    const spent = new Set<string>();
    for (const promotion of inOrder) {
      const group = this.book.promotionGroups.find(({ promotions }) => promotions.includes(promotion.id));
      if (group !== undefined && spent.has(group.id)) continue;
      const outcome = this.outcome(promotion);
      if (outcome === null) continue;
      let winner = promotion;
      let most = outcome;
      if (group?.choose === 'best') {
        for (const rival of inOrder) {
          if (!group.promotions.includes(rival.id)) continue;
          const other = this.outcome(rival);
          if (other !== null && other.worth > most.worth) {
            winner = rival;
            most = other;
          }
        }
      }
      if (group !== undefined) spent.add(group.id);
      this.apply(
        opens.get(winner.id) && winner.trigger === 'coupon' ? (opens.get(winner.id) as string) : winner.id,
        winner,
        most.taken,
      );
    }
    for (const kind of ['percent', 'fixed'] as const) {
      for (const coupon of coupons) {
        if (coupon.kind !== kind || this.stopped) continue;
        const left = this.sum(this.sold, (line) => this.left(line));
        let amount = 0n;
        if (coupon.kind === 'percent') amount = halfUp(mul(q(left), ppm(coupon.ratePpm)));
        if (coupon.kind === 'fixed') amount = named(coupon.amounts, this.request.currency) ?? 0n;
        if (amount > left) amount = left;
        const lines = this.sold;
        const parts = handOut(
          amount,
          lines.map((line) => ({ weight: q(this.left(line)), id: line.id })),
        );
        const taken = this.cap(new Map(lines.map((line, i) => [line, parts[i] as bigint])), this.budget);
        if ([...taken.values()].some((part) => part > 0n)) this.apply(coupon.code, null, taken);
      }
    }
  }

  // --- shipping ---

  chosenShipping(): { method: string; price: bigint; taxCategory: string } | null {
    const { shippingMethod, currency, destination, carrierPrices } = this.request;
    const { defaultShipping } = this.book.store;
    const shipped = this.sold.filter(({ physical }) => physical);
    if (shipped.length === 0 || (shippingMethod === null && defaultShipping === null)) return null;
    const items = this.sum(shipped, (line) => line.quantity);
    const weight = this.sum(shipped, (line) => line.weight * line.quantity);
    const goods = this.sum(this.sold, (line) => this.subtotal(line));
    const offers = this.book.shippingMethods.flatMap((method) => {
      if (!holds(method.validity, this.at)) return [];
      if (!allows(method.customerGroups, this.request.customerGroup) || !allows(method.channels, this.request.channel))
        return [];
      const zone =
        destination === null
          ? method.zones[0]
          : method.zones.find(({ zone: id, countries }) => {
              if (id === undefined) return countries === null || countries.includes(destination.country);
              const known = this.book.zones.get(id);
              return known !== undefined && isPlaceIn(known, destination);
            });
      if (zone === undefined) return [];
      let price = named(zone.prices, currency);
      if (zone.bands !== undefined) {
        const band = zone.bands.find(({ maxWeightGrams, maxItems, maxSubtotal, prices }) => {
          const most = named(maxSubtotal, currency);
          if (maxWeightGrams !== undefined && weight > BigInt(maxWeightGrams)) return false;
          if (maxItems !== undefined && items > BigInt(maxItems)) return false;
          if (maxSubtotal !== undefined && (most === null || goods > most)) return false;
          return named(prices, currency) !== null;
        });
        price = band === undefined ? null : named(band.prices, currency);
      }
      if (price === null) return [];
      price = named(carrierPrices, method.id) ?? price;
      const free = named(zone.freeFrom, currency);
      if (free !== null && goods >= free) price = 0n;
      return [
        {
          method: method.id,
          price: this.toMarket(price, { kind: 'as_rate' }, method.taxCategory),
          taxCategory: method.taxCategory,
        },
      ];
    });
    return (
      offers.find(({ method }) => method === shippingMethod) ??
      offers.find(({ method }) => method === defaultShipping) ??
      offers[0] ??
      null
    );
  }

  offShipping(promotion: Promotion, method: string, price: bigint): bigint {
    const { action } = promotion;
    if (action.kind !== 'shipping' || (action.methods !== undefined && !action.methods.includes(method))) return 0n;
    const { currency } = this.request;
    let off = 0n;
    if (action.off.kind === 'percent') off = halfUp(mul(q(price), ppm(action.off.ratePpm)));
    if (action.off.kind === 'amount') off = named(action.off.amounts, currency) ?? 0n;
    if (action.off.kind === 'price') {
      const target = named(action.off.prices, currency);
      off = target === null || target > price ? 0n : price - target;
    }
    const max = named(promotion.maxAmount, currency);
    if (max !== null && off > max) off = max;
    return off > price ? price : off;
  }

  // --- taxes ---

  price(): NaiveQuote {
    this.makeLines();
    this.promote();
    const chosen = this.chosenShipping();
    let shippingPrice = chosen?.price ?? 0n;
    if (chosen !== null) {
      for (const off of this.offs) {
        if (off.shipping === null) continue;
        off.taken = this.offShipping(off.shipping, chosen.method, shippingPrice);
        shippingPrice -= off.taken;
      }
    }
    const parts = this.shippingParts(chosen, shippingPrice);
    const taxed = [
      ...this.sold.map((line) => ({
        id: line.id,
        category: line.taxCategory,
        price: this.left(line),
        line: line as NaiveLine | null,
        tax: 0n,
        inside: 0n,
      })),
      ...parts.map((part) => ({ ...part, line: null, tax: 0n, inside: 0n })),
    ];
    const taxes = this.tax(taxed);
    for (const { line, tax, inside } of taxed) {
      if (line === null) continue;
      line.tax = tax;
      line.taxIncluded = inside;
    }
    const onShipping = taxed.filter(({ line }) => line === null);
    const shippingTax = onShipping.reduce((sum, { tax }) => sum + tax, 0n);
    const goods = this.sum(this.sold, (line) => this.left(line) + line.tax);
    return {
      lines: this.lines.map((line) => ({
        id: line.id,
        unitPrice: Number(line.unit),
        discount: Number(line.discount),
        tax: Number(line.tax),
        taxIncluded: Number(line.taxIncluded),
      })),
      gifts: this.offs.flatMap(({ gift }) => (gift === null ? [] : [gift.id])).sort(),
      discounts: this.offs
        .filter(({ amount, taken, gift }) => amount > 0n || taken > 0n || gift !== null)
        .map(({ code, amount, taken }) => ({ code, amount: Number(amount), shippingAmount: Number(taken) })),
      shipping:
        chosen === null
          ? null
          : {
              method: chosen.method,
              price: Number(shippingPrice),
              tax: Number(shippingTax),
              taxIncluded: Number(onShipping.reduce((sum, { inside }) => sum + inside, 0n)),
            },
      taxes,
      total: Number(goods + shippingPrice + shippingTax),
    };
  }

  shippingParts(
    chosen: { taxCategory: string } | null,
    price: bigint,
  ): { id: string; category: string; price: bigint }[] {
    if (chosen === null) return [];
    if (this.book.store.shippingTaxedAs === 'goods') {
      const shipped = this.sold.filter((line) => line.physical && this.left(line) > 0n);
      const categories = [...new Set(shipped.map(({ taxCategory }) => taxCategory))].sort();
      const weights = categories.map((category) => {
        return {
          id: category,
          weight: q(
            this.sum(
              shipped.filter((line) => line.taxCategory === category),
              (line) => this.left(line),
            ),
          ),
        };
      });
      const prices = handOut(price, weights);
      // After all lines, by category.
      if (categories.length > 0)
        return categories.map((category, i) => ({ id: `~${category}`, category, price: prices[i] as bigint }));
    }
    return [{ id: '~', category: chosen.taxCategory, price }];
  }

  tax(taxed: { id: string; category: string; price: bigint; tax: bigint; inside: bigint }[]): NaiveQuote['taxes'] {
    const sums = new Map<string, { base: bigint; amount: bigint }>();
    const record = (id: string, base: bigint, amount: bigint): void => {
      const before = sums.get(id) ?? { base: 0n, amount: 0n };
      sums.set(id, { base: before.base + base, amount: before.amount + amount });
    };
    const { destination } = this.request;
    const ratesOf = (category: string) => this.ratesAt(destination, category);
    const order = (rates: TaxRate[]) =>
      rates.sort((a, b) => Number(a.compound ?? false) - Number(b.compound ?? false) || (a.id < b.id ? -1 : 1));
    const insideOf = (category: string) =>
      order(ratesOf(category).filter((rate) => rate.included && !this.spared(rate)));
    const topOf = (category: string) => order(ratesOf(category).filter((rate) => !rate.included && !this.spared(rate)));
    for (const one of taxed)
      for (const rate of ratesOf(one.category)) if (this.spared(rate)) record(rate.id, one.price, 0n);
    const perOrder = this.book.store.taxRounding?.per === 'order';

    // Contained: lines one by one, or all that have the same rates together.
    const groups = new Map<string, typeof taxed>();
    taxed.forEach((one, i) => {
      const rates = insideOf(one.category);
      if (rates.length === 0) return;
      const key = perOrder ? rates.map(({ id }) => id).join('|') : `${i}`;
      groups.set(key, [...(groups.get(key) ?? []), one]);
    });
    for (const group of groups.values()) {
      const rates = insideOf(group[0]?.category ?? '');
      const gross = group.reduce((sum, one) => sum + one.price, 0n);
      const factor = this.factor(rates);
      const tax = round(div(mul(q(gross), add(factor, q(-1))), factor), this.mode);
      const lineParts = handOut(
        tax,
        group.map((one) => ({ weight: q(one.price), id: one.id })),
      );
      group.forEach((one, i) => {
        one.inside = lineParts[i] as bigint;
      });
      // What each rate adds to a price of 1.
      let price = q(1);
      const weights = rates.map((rate) => {
        const weight = mul(rate.compound ? price : q(1), ppm(rate.ratePpm));
        price = add(price, weight);
        return { weight, id: rate.id };
      });
      const shares = handOut(tax, weights);
      let before = 0n;
      rates.forEach((rate, i) => {
        record(rate.id, gross - tax + (rate.compound ? before : 0n), shares[i] as bigint);
        before += shares[i] as bigint;
      });
    }

    // On top.
    if (!perOrder) {
      for (const one of taxed) {
        for (const rate of topOf(one.category)) {
          const base = one.price - one.inside + (rate.compound ? one.tax : 0n);
          const amount = round(mul(q(base), ppm(rate.ratePpm)), this.mode);
          record(rate.id, base, amount);
          one.tax += amount;
        }
      }
    } else {
      const all = order(this.book.taxRates.filter((rate) => taxed.some((one) => topOf(one.category).includes(rate))));
      for (const rate of all) {
        const mine = taxed.filter((one) => topOf(one.category).includes(rate));
        const bases = mine.map((one) => one.price - one.inside + (rate.compound ? one.tax : 0n));
        const base = bases.reduce((sum, part) => sum + part, 0n);
        const amount = round(mul(q(base), ppm(rate.ratePpm)), this.mode);
        record(rate.id, base, amount);
        const lineParts = handOut(
          amount,
          mine.map((one, i) => ({ weight: q(bases[i] as bigint), id: one.id })),
        );
        mine.forEach((one, i) => {
          one.tax += lineParts[i] as bigint;
        });
      }
    }
    return [...sums]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, { base, amount }]) => ({ id, base: Number(base), amount: Number(amount) }));
  }
}
