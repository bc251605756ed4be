/**
 * The arithmetic of promotions: what an action takes off each line, given what those before it have left. It decides, and
 * changes nothing. Amounts are split by largest remainder; where units are counted, dearer and cheaper is by unit price and
 * then by line id, so that the order of the lines does not matter.
 */
import type {
  AmountAction,
  BuyGetAction,
  FixedPriceAction,
  Off,
  PercentAction,
  TiersAction,
} from '../schema/promotion.ts';
import { byId, type GoodsLine } from './goods.ts';
import { mulDivHalfUp, PPM, split } from './money.ts';
import { ownAmount } from './price-lookup.ts';
import { type ReadyPromotion, type ReadySelector, selects } from './promotion-index.ts';

/** What is taken off one line, above 0; `units`: of how many of its units, 0 where they are not counted. */
export interface Take {
  readonly line: GoodsLine;
  readonly amount: number;
  readonly units: number;
}

export function takesOf(ready: ReadyPromotion, lines: readonly GoodsLine[], currency: string): Take[] {
  const { action } = ready.promotion;
  switch (action.kind) {
    case 'percent':
      return percent(action, selected(ready.items, lines));
    case 'amount':
      return amount(action, selected(ready.items, lines), currency);
    case 'fixed_price':
      return fixedPrice(action, selected(ready.items, lines), currency);
    case 'buy_get':
      return buyGet(action, ready, lines);
    case 'tiers':
      return tiers(action, selected(ready.items, lines), currency);
    case 'shipping':
    case 'gift':
      return [];
  }
}

/** An amount off all these lines together, by what is left of each. */
export function takeTogether(amountOff: number, lines: readonly GoodsLine[]): Take[] {
  if (amountOff <= 0) return [];
  const weights: number[] = [];
  const ids: string[] = [];
  for (const line of lines) {
    weights.push(line.left);
    ids.push(line.id);
  }
  const parts = split(amountOff, weights, ids);
  const takes: Take[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as number;
    if (part > 0) takes.push({ line: lines[i] as GoodsLine, amount: part, units: 0 });
  }
  return takes;
}

/** The same, less: at most `max` in all, split over what would have been taken. */
export function capTakes(takes: readonly Take[], max: number): Take[] {
  const sum = takes.reduce((total, take) => total + take.amount, 0);
  if (sum <= max) return [...takes];
  const parts = split(
    max,
    takes.map((take) => take.amount),
    takes.map(({ line }) => line.id),
  );
  return takes.flatMap((take, i) => ((parts[i] ?? 0) > 0 ? [{ ...take, amount: parts[i] ?? 0 }] : []));
}

export function sumLeft(lines: readonly GoodsLine[]): number {
  let sum = 0;
  for (const { left } of lines) sum += left;
  return sum;
}

function selected(items: ReadySelector, lines: readonly GoodsLine[]): readonly GoodsLine[] {
  const found: GoodsLine[] = [];
  for (const line of lines) if (selects(items, line)) found.push(line);
  return found;
}

function percent({ ratePpm, per }: PercentAction, lines: readonly GoodsLine[]): Take[] {
  if (per !== 'line') return takeTogether(mulDivHalfUp(sumLeft(lines), ratePpm, PPM), lines);
  return lines.flatMap((line) => takeOne(line, mulDivHalfUp(line.left, ratePpm, PPM), 0));
}

function amount({ amounts, per }: AmountAction, lines: readonly GoodsLine[], currency: string): Take[] {
  const off = ownAmount(amounts, currency) ?? 0;
  if (per !== 'unit') return takeTogether(Math.min(off, sumLeft(lines)), lines);
  return lines.flatMap((line) => takeOne(line, off * line.quantity, line.quantity));
}

function takeOne(line: GoodsLine, wanted: number, units: number): Take[] {
  const taken = Math.min(wanted, line.left);
  return taken > 0 ? [{ line, amount: taken, units }] : [];
}

function tiers({ tiers: all }: TiersAction, lines: readonly GoodsLine[], currency: string): Take[] {
  let units = 0;
  let sum = 0;
  for (const { quantity, subtotal } of lines) {
    units += quantity;
    sum += subtotal;
  }
  let reached: Off | undefined;
  for (const tier of all) {
    const from = 'fromQuantity' in tier ? tier.fromQuantity : ownAmount(tier.fromSubtotal, currency);
    if (from !== undefined && ('fromQuantity' in tier ? units : sum) >= from) reached = tier.off;
  }
  if (reached === undefined) return [];
  const left = sumLeft(lines);
  if (reached.kind === 'percent') return takeTogether(mulDivHalfUp(left, reached.ratePpm, PPM), lines);
  return takeTogether(Math.min(ownAmount(reached.amounts, currency) ?? 0, left), lines);
}

/** What the first `units` of a line are worth after earlier discounts: in proportion, rounded half up. */
function worthOf({ left, quantity }: GoodsLine, units: number): number {
  return units === quantity ? left : mulDivHalfUp(left, units, quantity);
}

function dearestFirst(lines: readonly GoodsLine[]): GoodsLine[] {
  return [...lines].sort((a, b) => b.unitPrice - a.unitPrice || byId(a, b));
}

/**
 * Units stand in a row, the dearest first. Bundles that lie wholly in one line are taken together; one that spans lines by itself. So
 * the work is by lines, not by units.
 */
function fixedPrice(action: FixedPriceAction, lines: readonly GoodsLine[], currency: string): Take[] {
  const price = ownAmount(action.prices, currency);
  if (price === undefined) return [];
  const size = action.quantity ?? 1;
  const row = dearestFirst(lines);
  const taken = new Map<GoodsLine, { amount: number; units: number }>();
  const take = (line: GoodsLine, off: number, units: number): void => {
    const before = taken.get(line);
    if (before === undefined) taken.set(line, { amount: off, units });
    else taken.set(line, { amount: before.amount + off, units: before.units + units });
  };
  /** Units of each line in the bundle that is begun. */
  let open: { line: GoodsLine; from: number; units: number }[] = [];
  let openUnits = 0;
  for (const line of row) {
    let used = 0;
    if (openUnits > 0) {
      used = Math.min(size - openUnits, line.quantity);
      open.push({ line, from: 0, units: used });
      openUnits += used;
      if (openUnits < size) continue;
      bundle(open, price, take);
      open = [];
      openUnits = 0;
    }
    const whole = Math.floor((line.quantity - used) / size);
    if (whole > 0) {
      const off = worthOf(line, used + whole * size) - worthOf(line, used) - whole * price;
      if (off > 0) take(line, off, whole * size);
      used += whole * size;
    }
    if (used < line.quantity) {
      open.push({ line, from: used, units: line.quantity - used });
      openUnits = line.quantity - used;
    }
  }
  return [...taken].map(([line, { amount: off, units }]) => ({ line, amount: off, units }));
}

function bundle(
  parts: readonly { readonly line: GoodsLine; readonly from: number; readonly units: number }[],
  price: number,
  take: (line: GoodsLine, off: number, units: number) => void,
): void {
  const worths = parts.map(({ line, from, units }) => worthOf(line, from + units) - worthOf(line, from));
  const off = worths.reduce((sum, worth) => sum + worth, 0) - price;
  if (off <= 0) return;
  const shares = split(
    off,
    worths,
    parts.map(({ line }) => line.id),
  );
  parts.forEach(({ line, units }, i) => {
    take(line, shares[i] ?? 0, units);
  });
}

function buyGet({ buy, get, timesMax }: BuyGetAction, ready: ReadyPromotion, lines: readonly GoodsLine[]): Take[] {
  const candidates: { readonly line: GoodsLine; readonly both: boolean }[] = [];
  let onlyBuy = 0;
  let onlyGet = 0;
  let both = 0;
  for (const line of lines) {
    const bought = ready.buy !== null && selects(ready.buy, line);
    const given = selects(ready.items, line);
    if (given) candidates.push({ line, both: bought });
    if (bought && given) both += line.quantity;
    else if (bought) onlyBuy += line.quantity;
    else if (given) onlyGet += line.quantity;
  }
  const fits = (times: number) =>
    Math.max(0, times * get.quantity - onlyGet) + Math.max(0, times * buy.quantity - onlyBuy) <= both;
  let times = Math.min(timesMax ?? Number.MAX_SAFE_INTEGER, Math.floor((onlyGet + both) / get.quantity));
  let low = 0;
  while (low < times) {
    const middle = Math.ceil((low + times) / 2);
    if (fits(middle)) low = middle;
    else times = middle - 1;
  }
  let missing = times * get.quantity;
  let fromBoth = both - Math.max(0, times * buy.quantity - onlyBuy);
  candidates.sort((a, b) => a.line.unitPrice - b.line.unitPrice || byId(a.line, b.line));
  const takes: Take[] = [];
  for (const { line, both: shared } of candidates) {
    const units = Math.min(line.quantity, missing, shared ? fromBoth : missing);
    missing -= units;
    if (shared) fromBoth -= units;
    const off = mulDivHalfUp(line.left, units * get.ratePpm, line.quantity * PPM);
    if (off > 0) takes.push({ line, amount: off, units });
  }
  return takes;
}
