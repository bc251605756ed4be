/**
 * Prices as a table: CSV with a head line, a row for each price of a sku in a list, and one more for each quantity tier.
 *
 *     list,sku,currency,price,minQuantity,compareAtPrice
 *     trade,KIT-SCALE,USD,3000,,3900
 *     trade,KIT-SCALE,USD,2700,10,
 *
 * The file holds all prices of the lists that it names: what a list had besides is gone. What a list is apart from its prices and their
 * currency stays, and scheduled changes of a sku that is still in it, which a table cannot say; a list that is new gets its id for a
 * name. Amounts are in minor units.
 */
import type { PriceList, PriceListEntry, PriceTier } from '../schema/price-list.ts';
import type { RuleChange } from '../schema/rule-changes.ts';
import type { RuleError } from '../schema/rule-fields.ts';
import { type CsvRecord, csvInteger, csvRows, type ImportErrors, type ImportRow, importError } from './import-rows.ts';
import type { InputError } from './problem.ts';
import type { RuleFile } from './rule-import.ts';
import { ERRORS_MAX } from './validation.ts';

/** Rows in one file: each sku may have its tiers. */
export const PRICE_ROWS_MAX = 100_000;
const COLUMNS = ['list', 'sku', 'currency', 'price', 'minQuantity', 'compareAtPrice'] as const;

type Row = ImportRow<CsvRecord>;
/** Amounts may be texts still: the rules' own check tells what is wrong with them. */
interface SkuRows {
  base: Row | null;
  readonly tiers: Row[];
}
interface ListRows {
  readonly first: Row;
  readonly skus: Map<string, SkuRows>;
}

export function readPrices(bytes: Uint8Array): RuleFile | ImportErrors {
  const read = csvRows(bytes, PRICE_ROWS_MAX);
  if ('errors' in read) return read;
  const { rows } = read;
  if (rows.length === 0) return importError('', 'holds no price');
  if (rows.length > PRICE_ROWS_MAX) return importError('', `must hold at most ${PRICE_ROWS_MAX} prices`);
  const strange = Object.keys(rows[0]?.value ?? {}).find((column) => !COLUMNS.some((known) => known === column));
  if (strange !== undefined)
    return importError('/lines/1', `${JSON.stringify(strange.slice(0, 40))} is no known column`);
  const lists = new Map<string, ListRows>();
  const errors: InputError[] = [];
  for (const row of rows) {
    const error = sortIn(row, lists);
    if (error !== null) errors.push(error);
    if (errors.length >= ERRORS_MAX) break;
  }
  for (const { skus } of lists.values())
    for (const { base, tiers } of skus.values())
      if (base === null && errors.length < ERRORS_MAX)
        errors.push({ path: `/lines/${tiers[0]?.line}/minQuantity`, message: 'there is no row with the price of one' });
  if (errors.length > 0) return { errors };
  const changes = [...lists].map(
    ([list, listed]): RuleChange => ({
      kind: 'price_list',
      id: list,
      place: `/lists/${list}`,
      edit: (current) => edited(list, listed, current as PriceList | undefined),
    }),
  );
  return { changes, placed: (error) => placed(error, lists) };
}

function sortIn(row: Row, lists: Map<string, ListRows>): InputError | null {
  const { list = '', sku = '', currency = '', minQuantity = '' } = row.value;
  const at = (column: string, message: string): InputError => ({ path: `/lines/${row.line}/${column}`, message });
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(list))
    return at('list', 'must name a price list: 1 to 64 of A-Z a-z 0-9 . _ -');
  if (sku === '') return at('sku', 'is missing');
  const { first, skus } = lists.get(list) ?? { first: row, skus: new Map<string, SkuRows>() };
  lists.set(list, { first, skus });
  if (currency !== first.value.currency)
    return at('currency', `must be that of the list's other prices, such as on line ${first.line}`);
  const known: SkuRows = skus.get(sku) ?? { base: null, tiers: [] };
  skus.set(sku, known);
  if (minQuantity !== '' && minQuantity !== '1') {
    known.tiers.push(row);
    return null;
  }
  if (known.base !== null) return at('sku', `has its price in this list on line ${known.base.line} already`);
  known.base = row;
  return null;
}

function edited(list: string, { first, skus }: ListRows, current: PriceList | undefined): unknown {
  const { currency } = first.value;
  const entries = Object.fromEntries([...skus].map(([sku, rows]) => [sku, entryOf(rows, current?.entries[sku])]));
  return { ...(current ?? { id: list, name: list }), currency, entries };
}

function entryOf({ base, tiers }: SkuRows, current: PriceListEntry | undefined): unknown {
  const { price = '', compareAtPrice = '' } = base?.value ?? {};
  return {
    amount: csvInteger(price),
    ...(compareAtPrice === '' ? undefined : { compareAt: csvInteger(compareAtPrice) }),
    ...(tiers.length === 0 ? undefined : { tiers: rising(tiers).map(tierOf) }),
    ...(current?.changes === undefined ? undefined : { changes: current.changes }),
  };
}

function rising(tiers: readonly Row[]): Row[] {
  return [...tiers].sort((a, b) => Number(a.value.minQuantity) - Number(b.value.minQuantity));
}

function tierOf({ value }: Row): unknown {
  return { from: csvInteger(value.minQuantity ?? ''), amount: csvInteger(value.price ?? '') };
}

const COLUMN_OF: Readonly<Record<string, string>> = {
  amount: 'price',
  from: 'minQuantity',
  compareAt: 'compareAtPrice',
};

function placed({ path, message }: RuleError, lists: ReadonlyMap<string, ListRows>): InputError {
  const [, kind, list = '', part, sku = '', field, index, tierField] = path.split('/');
  const listed = kind === 'lists' ? lists.get(list) : undefined;
  if (listed === undefined) return { path, message };
  if (part === 'currency') return { path: `/lines/${listed.first.line}/currency`, message };
  const rows = part === 'entries' ? listed.skus.get(sku) : undefined;
  if (rows === undefined) return { path, message };
  if (field === 'tiers' && index !== undefined) {
    const line = rising(rows.tiers)[Number(index)]?.line;
    return { path: `/lines/${line}/${COLUMN_OF[tierField ?? ''] ?? ''}`, message };
  }
  return { path: `/lines/${rows.base?.line}/${COLUMN_OF[field ?? ''] ?? 'sku'}`, message };
}

/** What `readPrices` reads again. No field needs quoting: ids, skus, codes of currencies and numbers have neither commas nor quotes. */
export function writePrices(lists: readonly PriceList[]): string {
  let out = `${COLUMNS.join(',')}\n`;
  for (const { id, currency, entries } of lists) {
    for (const [sku, { amount, compareAt, tiers = [] }] of Object.entries(entries)) {
      out += `${id},${sku},${currency},${amount},,${compareAt ?? ''}\n`;
      for (const { from, amount: each } of tiers as readonly PriceTier[])
        out += `${id},${sku},${currency},${each},${from},\n`;
    }
  }
  return out;
}
