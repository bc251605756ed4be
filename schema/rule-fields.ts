/**
 * Reading a commercial rule from unknown input: field by field, each with its path and limit, unknown fields refused. Every error is
 * listed, up to `ERRORS_MAX`; nothing is repaired. The rules' own files know which fields there are.
 */
import { isCurrency } from './currency.ts';
import { CONTROL, PRICE_MAX, UNSTORABLE } from './product.ts';

/** `path` is a JSON pointer (RFC 6901) into the document. */
export interface RuleError {
  readonly path: string;
  readonly message: string;
}
export type RuleCheck<Rule> =
  | { readonly ok: true; readonly rule: Rule }
  | { readonly ok: false; readonly errors: readonly RuleError[] };

type Input = Readonly<Record<string, unknown>>;
export type FieldCheck = (path: string, value: unknown) => void;

const ERRORS_MAX = 50;
export const RATE_MAX = 1_000_000;
/** The last instant of a `Date`. */
const INSTANT_MAX = 8_640_000_000_000_000;
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const SKU = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const TAX_CATEGORY = /^[a-z][a-z0-9_-]{0,31}$/;
export const COUNTRY = /^[A-Z]{2}$/;
export const REGION = /^[A-Z0-9]{1,3}$/;
const LABEL_MAX = 200;
const CURRENCIES_MAX = 32;

export class RuleFields {
  readonly errors: RuleError[] = [];

  check(path: string, fine: boolean, message: string): boolean {
    if (!fine && this.errors.length < ERRORS_MAX) this.errors.push({ path, message });
    return fine;
  }

  /**
   * The object's fields, each by its check; `required` ones must be there.
   * @returns null: it is no object
   */
  object(
    path: string,
    value: unknown,
    required: Readonly<Record<string, FieldCheck>>,
    optional: Readonly<Record<string, FieldCheck>> = {},
  ): Input | null {
    if (!this.check(path, isObject(value), 'must be an object')) return null;
    const input = value as Input;
    for (const [name, check] of Object.entries(required)) {
      const at = pointer(path, name);
      if (this.check(at, input[name] !== undefined, 'is missing')) check(at, input[name]);
    }
    for (const [name, given] of Object.entries(input)) {
      if (given === undefined || Object.hasOwn(required, name)) continue;
      const check = Object.hasOwn(optional, name) ? optional[name] : undefined;
      if (check === undefined) this.check(pointer(path, name), false, 'is not a known field');
      else check(pointer(path, name), given);
    }
    return input;
  }

  readonly id: FieldCheck = (path, value) => {
    this.check(path, matches(value, ID), 'must be 1 to 64 of A-Z a-z 0-9 . _ - and start with a letter or digit');
  };
  readonly sku: FieldCheck = (path, value) => {
    this.check(
      path,
      matches(value, SKU),
      'must be a sku: 1 to 64 of A-Z a-z 0-9 . _ - and start with a letter or digit',
    );
  };
  readonly label: FieldCheck = (path, value) => {
    const fits = typeof value === 'string' && value.trim() !== '' && value.length <= LABEL_MAX;
    const fine = fits && !CONTROL.test(value) && !UNSTORABLE.test(value);
    this.check(path, fine, `must be text of 1 to ${LABEL_MAX} characters on one line`);
  };
  readonly boolean: FieldCheck = (path, value) => {
    this.check(path, typeof value === 'boolean', 'must be true or false');
  };
  readonly taxCategory: FieldCheck = (path, value) => {
    this.check(path, matches(value, TAX_CATEGORY), 'must be 1 to 32 of a-z 0-9 _ - and start with a letter');
  };
  readonly country: FieldCheck = (path, value) => {
    this.check(path, matches(value, COUNTRY), 'must be a country by two capital letters (ISO 3166-1)');
  };
  readonly region: FieldCheck = (path, value) => {
    this.check(path, matches(value, REGION), 'must be the second half of an ISO 3166-2 code');
  };
  readonly currency: FieldCheck = (path, value) => {
    this.check(path, typeof value === 'string' && isCurrency(value), 'must be an ISO 4217 currency');
  };
  readonly validity: FieldCheck = (path, value) => {
    const instant = this.whole(-INSTANT_MAX, INSTANT_MAX);
    const given = this.object(path, value, {}, { from: instant, until: instant });
    const { from, until } = given ?? {};
    if (typeof from !== 'number' || typeof until !== 'number') return;
    this.check(pointer(path, 'until'), from < until, 'must be after "from"');
  };

  whole(min: number, max: number): FieldCheck {
    return (path, value) => {
      this.check(path, isWhole(value, min, max), `must be a whole number of ${min} to ${max}`);
    };
  }
  rate(min: 0 | 1): FieldCheck {
    return (path, value) => {
      this.check(path, isWhole(value, min, RATE_MAX), `must be ${min} to ${RATE_MAX} parts per million (100 %)`);
    };
  }
  oneOf(...words: readonly string[]): FieldCheck {
    return (path, value) => {
      this.check(
        path,
        words.includes(value as string),
        `must be one of ${words.map((word) => `"${word}"`).join(', ')}`,
      );
    };
  }
  nullOr(check: FieldCheck): FieldCheck {
    return (path, value) => {
      if (value !== null) check(path, value);
    };
  }
  /** `of`: with what each is checked. */
  list(of: FieldCheck, min: number, max: number): FieldCheck {
    return (path, value) => {
      if (!this.check(path, Array.isArray(value), 'must be a list')) return;
      const items = value as readonly unknown[];
      if (!this.check(path, items.length >= min && items.length <= max, `must have ${min} to ${max} entries`)) return;
      items.forEach((item, i) => {
        of(pointer(path, i), item);
      });
    };
  }
  /** A list of texts, each once. */
  set(of: FieldCheck, min: number, max: number): FieldCheck {
    const list = this.list(of, min, max);
    return (path, value) => {
      list(path, value);
      if (Array.isArray(value)) this.check(path, new Set(value).size === value.length, 'names something twice');
    };
  }
  /** Minor units by currency, at least one. */
  amounts(min: 0 | 1): FieldCheck {
    return (path, value) => {
      if (!this.check(path, isObject(value), 'must be an object of amounts by currency')) return;
      const entries = Object.entries(value as Input);
      const some = entries.length >= 1 && entries.length <= CURRENCIES_MAX;
      if (!this.check(path, some, `must name 1 to ${CURRENCIES_MAX} currencies`)) return;
      for (const [currency, amount] of entries) {
        const at = pointer(path, currency);
        if (this.check(at, isCurrency(currency), 'is no ISO 4217 currency')) this.amount(min)(at, amount);
      }
    };
  }
  amount(min: 0 | 1): FieldCheck {
    return (path, value) => {
      this.check(path, isWhole(value, min, PRICE_MAX), `must be a whole number of minor units, ${min} to ${PRICE_MAX}`);
    };
  }

  /** The input itself, copied, where nothing was wrong. */
  result<Rule>(input: unknown): RuleCheck<Rule> {
    if (this.errors.length > 0) return { ok: false, errors: this.errors };
    return { ok: true, rule: withoutUndefined(input) as Rule };
  }
}

/** Below `path`. */
export function pointer(path: string, name: string | number): string {
  return `${path}/${String(name).slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

export function isObject(value: unknown): value is Input {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

function matches(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutUndefined(field)]));
}
