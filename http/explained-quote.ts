/**
 * What a quote says beside its amounts, as the contract shows it: where a unit price comes from, what each promotion took off, how shipping
 * was priced, which tax spared whom. All of it is optional, and of a plain cart none is there: the writers ask only whether a field is.
 */
import type {
  ExplainedPrice,
  LineDiscount,
  Quote,
  QuotedDiscount,
  QuotedLine,
  QuotedShipping,
  QuotedTax,
} from '../workers/quote.ts';
import type { Money } from './schemas.ts';

export type MoneyMaker = (amount: number) => Money;

/** Without the fields that are left out: an answer has no `undefined`. */
function given<T extends object>(fields: T): T {
  const kept: Partial<T> = {};
  for (const name in fields) if (fields[name] !== undefined) kept[name] = fields[name];
  return kept as T;
}

function sum(amount: number | undefined, money: MoneyMaker): Money | undefined {
  return amount === undefined ? undefined : money(amount);
}

function priceOf({ list, tier, compareAt, sale, locked, listed }: ExplainedPrice, money: MoneyMaker): object {
  return given({ list, tier, compareAt: sum(compareAt, money), sale, locked, listed: sum(listed, money) });
}

function discountOf({ promotion, code, label, amount, why, units }: LineDiscount, money: MoneyMaker): object {
  return given({ promotion, code, label, amount: money(amount), why, units });
}

function discountsOf(discounts: readonly LineDiscount[] | undefined, money: MoneyMaker): object[] | undefined {
  return discounts?.map((discount) => discountOf(discount, money));
}

export function explainLine({ price, discounts }: QuotedLine, money: MoneyMaker): object {
  if (price === undefined && discounts === undefined) return NOTHING;
  return given({
    price: price === undefined ? undefined : priceOf(price, money),
    discounts: discountsOf(discounts, money),
  });
}

export function explainDiscount({ promotion, shippingAmount }: QuotedDiscount, money: MoneyMaker): object {
  if (promotion === undefined && shippingAmount === undefined) return NOTHING;
  return given({ promotion, shipping: sum(shippingAmount, money) });
}

export function explainShipping(shipping: QuotedShipping, money: MoneyMaker): object {
  const { listPrice, discounts, delivery, byCarrier } = shipping;
  if (listPrice === undefined && discounts === undefined && delivery === undefined && byCarrier === undefined) {
    return NOTHING;
  }
  return given({
    listPrice: sum(listPrice, money),
    discounts: discountsOf(discounts, money),
    delivery,
    byCarrier,
  });
}

export function explainTax({ id, exempt }: QuotedTax): object {
  return id === undefined && exempt === undefined ? NOTHING : given({ id, exempt });
}

/** Of the whole quote: who said what the taxes are, and whom they spared. `exemptionId` is in clear. */
export function explainTaxes({ taxSource, exemption }: Quote, exemptionId: string | null): object {
  if (taxSource === undefined && exemption === undefined) return NOTHING;
  return given({ taxSource, exemption: exemption === undefined ? undefined : { ...exemption, id: exemptionId } });
}

const NOTHING: object = Object.freeze({});

/** The same as text that goes on in an object: empty, or a comma and its members. */
export function asMembers(fields: object): string {
  if (fields === NOTHING) return '';
  const members = JSON.stringify(fields).slice(1, -1);
  return members === '' ? '' : `,${members}`;
}
