import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { UNIT_PRICE_MAX } from '../workers/money.ts';
import { isCurrency, minorUnit } from './currency.ts';
import { PRICE_MAX, type Product, validateProduct } from './product.ts';
import { type ListPosition, ProductIndex, type ProductSort, SCAN_MAX } from './product-index.ts';

const MINIMAL = { sku: 'A.1_b-2', name: 'Mug', category: 'Kitchen', prices: { USD: 100 } };

function paths(more: Record<string, unknown>): string[] {
  const check = validateProduct({ ...MINIMAL, ...more });
  return check.ok ? [] : check.errors.map(({ path }) => path);
}

test('what is left out of a product is filled in', () => {
  assert.deepEqual(validateProduct(MINIMAL), {
    ok: true,
    product: {
      ...MINIMAL,
      description: '',
      taxCategory: 'standard',
      compareAtPrices: {},
      maxPerOrder: null,
      holdAt: 'checkout',
      holdTtlMs: 600_000,
      active: true,
    },
  });
});

test('each error is named by a JSON pointer', () => {
  const cases: [Record<string, unknown>, string[]][] = [
    [{ sku: '' }, ['/sku']],
    [{ sku: '..' }, ['/sku']],
    [{ sku: 'a/b' }, ['/sku']],
    [{ sku: 'x'.repeat(65) }, ['/sku']],
    [{ name: ' ' }, ['/name']],
    [{ name: 'two\nlines' }, ['/name']],
    [{ name: 'half \ud83d' }, ['/name']],
    [{ description: 'nul \0' }, ['/description']],
    [{ description: 'x'.repeat(4_001) }, ['/description']],
    [{ category: 7 }, ['/category']],
    [{ taxCategory: 'Standard' }, ['/taxCategory']],
    [{ prices: {} }, ['/prices']],
    [{ prices: [] }, ['/prices']],
    [{ prices: { usd: 1 } }, ['/prices']],
    [{ prices: { constructor: 1 } }, ['/prices']],
    [{ prices: { USD: 1.5 } }, ['/prices/USD']],
    [{ prices: { USD: -1 } }, ['/prices/USD']],
    [{ prices: { USD: PRICE_MAX + 1 } }, ['/prices/USD']],
    [{ compareAtPrices: { USD: 100 } }, ['/compareAtPrices/USD']],
    [{ compareAtPrices: { EUR: 200 } }, ['/compareAtPrices/EUR']],
    [{ maxPerOrder: 0 }, ['/maxPerOrder']],
    [{ maxPerOrder: 1_000 }, ['/maxPerOrder']],
    [{ holdAt: 'never' }, ['/holdAt']],
    [{ holdTtlMs: 999 }, ['/holdTtlMs']],
    [{ active: 1 }, ['/active']],
    [{ 'a/b~c': 1 }, ['/a~1b~0c']],
    [{ sku: null, prices: null }, ['/sku', '/prices']],
  ];
  for (const [more, expected] of cases) assert.deepEqual(paths(more), expected, JSON.stringify(more));
  for (const input of [null, undefined, 'text', [], 7]) assert.equal(validateProduct(input).ok, false);
});

test('no input makes the check throw', () => {
  fc.assert(
    fc.property(fc.anything(), fc.object(), (anything, object) => {
      validateProduct(anything);
      validateProduct({ ...MINIMAL, ...object });
    }),
  );
});

test('what a product may cost is what pricing takes', () => {
  assert.equal(PRICE_MAX, UNIT_PRICE_MAX);
});

test('minor units are those of ISO 4217', () => {
  const expected = {
    USD: 2,
    EUR: 2,
    JPY: 0,
    KWD: 3,
    BHD: 3,
    KRW: 0,
    CLP: 0,
    CLF: 4,
    ISK: 0,
    UGX: 0,
    HUF: 2,
    IDR: 2,
    MGA: 2,
    MRU: 2,
  };
  for (const [code, digits] of Object.entries(expected)) assert.equal(minorUnit(code), digits, code);
  for (const code of ['usd', 'XXY', '', 'toString', 'default', '__proto__']) {
    assert.deepEqual([isCurrency(code), minorUnit(code)], [false, undefined], code);
  }
});

// The index over products in memory.

const SORTS: readonly ProductSort[] = ['sku', '-sku', 'name', '-name', 'price', '-price'];
const arbitraryProduct: fc.Arbitrary<Product> = fc
  .record({
    n: fc.integer({ min: 0, max: 40 }),
    name: fc.constantFrom('Alpha', 'alpha', 'Beta mug', 'Gamma', 'Émile', 'Zed'),
    description: fc.constantFrom('', 'made of BRASS', 'a Mug of wool'),
    category: fc.constantFrom('one', 'two'),
    usd: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }),
    active: fc.constantFrom(true, true, false),
  })
  .map(({ n, usd, ...rest }) => ({
    ...rest,
    sku: `S${n}`,
    taxCategory: 'standard',
    prices: usd === undefined ? { EUR: n } : { EUR: n, USD: usd },
    compareAtPrices: {},
    maxPerOrder: null,
    holdAt: 'checkout',
    holdTtlMs: 600_000,
  }));
const changes = fc.array(
  fc.array(fc.record({ product: arbitraryProduct, removed: fc.boolean() }), { minLength: 1, maxLength: 8 }),
  { maxLength: 12 },
);

function keyOf(sort: ProductSort, product: Product): string | number {
  const by = sort.replace('-', '');
  return by === 'price' ? (product.prices.USD ?? -1) : by === 'sku' ? product.sku : product.name.toLowerCase();
}
function naive(all: Iterable<Product>, sort: ProductSort, fits: (product: Product) => boolean): string[] {
  const sorted = [...all].filter(fits).sort((a, b) => {
    const [x, y] = [keyOf(sort, a), keyOf(sort, b)];
    return x < y ? -1 : x > y ? 1 : a.sku < b.sku ? -1 : 1;
  });
  if (sort.startsWith('-')) sorted.reverse();
  return sorted.map(({ sku }) => sku);
}

test('pages of any size, in any order, after any changes, are the sorted and filtered products', () => {
  fc.assert(
    fc.property(
      changes,
      fc.constantFrom(...SORTS),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom(undefined, 'MUG', 'brass', 's1', 'mug  alpha'),
      fc.constantFrom(undefined, 'one'),
      fc.boolean(),
      (steps, sort, limit, q, category, all) => {
        const index = new ProductIndex();
        const query = { sort, limit, q, category, all, currency: 'USD' };
        for (const step of steps) {
          index.apply(new Map(step.map(({ product, removed }) => [product.sku, removed ? null : product])));
          index.list(query); // builds the order that later steps must keep up
        }
        const words = (q ?? '').toLowerCase().split(/\s+/).filter(Boolean);
        const expected = naive(index, sort, (product) => {
          const text = `${product.name} ${product.description} ${product.sku}`.toLowerCase();
          return (
            product.prices.USD !== undefined &&
            (all || product.active) &&
            (category === undefined || product.category === category) &&
            words.every((word) => text.includes(word))
          );
        });
        const found: string[] = [];
        let after: ListPosition | null = null;
        do {
          const page = index.list({ ...query, after });
          assert.ok(page.items.length <= limit && (page.next === null || page.items.length === limit));
          found.push(...page.items.map(({ sku }) => sku));
          after = page.next;
        } while (after !== null);
        assert.deepEqual(found, expected);
      },
    ),
    { numRuns: 300 },
  );
});

test('a page continues at its place while products before and after it come and go', () => {
  const index = new ProductIndex();
  const put = (...skus: string[]) => {
    index.apply(new Map(skus.map((sku) => [sku, { ...MINIMAL, sku, name: sku, active: true } as unknown as Product])));
  };
  put('B', 'D', 'F', 'H');
  const first = index.list({ limit: 2, sort: 'name' });
  put('A', 'C', 'E');
  index.apply(new Map([['D', null]]));
  const second = index.list({ limit: 9, sort: 'name', after: first.next });
  assert.deepEqual(
    [first, second].map(({ items }) => items.map(({ sku }) => sku)),
    [
      ['B', 'D'],
      ['E', 'F', 'H'],
    ],
  );
});

test('a search in a large catalogue looks at a bounded part per page and finds everything over the pages', () => {
  const index = new ProductIndex();
  const count = 2 * SCAN_MAX + 500;
  const skus = Array.from({ length: count }, (_, i) => `S${String(i).padStart(6, '0')}`);
  const wanted = new Set([skus[1], skus[SCAN_MAX + 7], skus.at(-1)]);
  const one = (sku: string) => ({ ...MINIMAL, sku, name: wanted.has(sku) ? 'Needle' : 'Hay', active: true });
  index.apply(new Map(skus.map((sku) => [sku, one(sku) as unknown as Product])));
  for (const sort of ['sku', '-sku'] as const) {
    const found = new Set<string>();
    let pages = 0;
    let after: ListPosition | null = null;
    do {
      const page = index.list({ q: 'needle', limit: 2, sort, after });
      for (const { sku } of page.items) found.add(sku);
      after = page.next;
      pages++;
    } while (after !== null);
    assert.deepEqual(found, wanted);
    assert.equal(pages, 3);
  }
});

test('a position of another kind than the order’s finds a page, never an error', () => {
  const index = new ProductIndex();
  index.apply(new Map([['A', { ...MINIMAL, sku: 'A', active: true } as unknown as Product]]));
  for (const after of [[], [null, 'A'], ['x'], [1, 'A'], ['x', 7]] as ListPosition[]) {
    index.list({ limit: 5, sort: 'name', after });
    index.list({ limit: 5, sort: '-price', currency: 'USD', after });
  }
  assert.deepEqual(index.list({ limit: 5, sort: 'price', currency: 'NOK' }), { items: [], next: null });
});
