/**
 * What a rule of each kind may be, as one door: the forms that the kinds' own checks let in, and how many there may be. The place of
 * a shipping method among those that are offered stands beside the method in its document, for no cart's price depends on it.
 */
import { PRICE_LISTS_MAX } from './price-list.ts';
import { PROMOTIONS_MAX } from './promotion.ts';
import { validateCoupon, validatePromotion, validatePromotionGroup } from './promotion-check.ts';
import {
  validatePriceList,
  validateShippingMethod,
  validateStore,
  validateTaxRate,
  validateZone,
} from './rule-check.ts';
import { isObject, isWhole, type RuleCheck } from './rule-fields.ts';
import type { RuleKind } from './rule-rows.ts';
import { SHIPPING_METHODS_MAX } from './shipping-method.ts';
import { TAX_RATES_MAX } from './tax-rate.ts';

export interface RuleForm {
  readonly check: (input: unknown) => RuleCheck<unknown>;
  /** The field that is the rule's id; null: there is only one rule of the kind. */
  readonly id: 'id' | 'code' | null;
  readonly countMax: number;
  /** The kind's name in `RuleSet`, where errors of rules together begin. */
  readonly setName: string;
}

const PLACE_MAX = 10_000;

export const RULE_FORMS: Readonly<Record<RuleKind, RuleForm>> = {
  store: { check: validateStore, id: null, countMax: 1, setName: 'store' },
  zone: { check: validateZone, id: 'id', countMax: 5_000, setName: 'zones' },
  tax_rate: { check: validateTaxRate, id: 'id', countMax: TAX_RATES_MAX, setName: 'taxRates' },
  shipping_method: {
    check: validatePlacedMethod,
    id: 'id',
    countMax: SHIPPING_METHODS_MAX,
    setName: 'shippingMethods',
  },
  price_list: { check: validatePriceList, id: 'id', countMax: PRICE_LISTS_MAX, setName: 'priceLists' },
  promotion: { check: validatePromotion, id: 'id', countMax: PROMOTIONS_MAX, setName: 'promotions' },
  promotion_group: { check: validatePromotionGroup, id: 'id', countMax: PROMOTIONS_MAX, setName: 'promotionGroups' },
  coupon: { check: validateCoupon, id: 'code', countMax: 20_000, setName: 'coupons' },
};

function validatePlacedMethod(input: unknown): RuleCheck<unknown> {
  if (!isObject(input) || input.place === undefined) return validateShippingMethod(input);
  const { place, ...method } = input;
  const check = validateShippingMethod(method);
  const wrong = isWhole(place, 0, PLACE_MAX)
    ? []
    : [{ path: '/place', message: `must be a whole number of 0 to ${PLACE_MAX}` }];
  if (!check.ok) return { ok: false, errors: [...check.errors, ...wrong] };
  return wrong.length > 0 ? { ok: false, errors: wrong } : { ok: true, rule: { ...check.rule, place } };
}
