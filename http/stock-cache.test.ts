import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../runtime/manual-clock.ts';
import { StockCache, type StockCacheOptions, type StockRow } from './stock-cache.ts';

/** A read table that tells what was asked of it. */
function table(rows: StockRow[], options: Partial<StockCacheOptions> = {}) {
  const clock = new ManualClock();
  const calls: string[][] = [];
  const stored = new Map(rows.map((row) => [row.sku, row]));
  const load = async (skus: readonly string[]) => {
    calls.push([...skus]);
    return skus.flatMap((sku) => stored.get(sku) ?? []);
  };
  const stock = new StockCache({ load, clock, ...options });
  const heard: [string, number, number][] = [];
  stock.onChange((sku, { available, version }) => heard.push([sku, available, version]));
  return { clock, calls, stored, stock, heard };
}

/** Lets everything that waits for no clock come to its end. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
}

const projection = (key: string, version: number, available: number) => ({
  table: 'stock',
  key,
  version,
  doc: { onHand: available, held: 0, allocated: 0, available },
});

describe('the copy of stock levels', () => {
  it('takes newer versions, tells of them, and ignores older ones and other tables', () => {
    const { stock, heard } = table([]);
    stock.apply(projection('a', 2, 20));
    stock.apply(projection('a', 1, 10));
    stock.apply(projection('a', 2, 99));
    stock.apply({ ...projection('a', 9, 90), table: 'order' });
    stock.apply(projection('a', 3, 30));
    assert.deepEqual(stock.get('a'), { available: 30, version: 3 });
    assert.deepEqual(heard, [
      ['a', 20, 2],
      ['a', 30, 3],
    ]);
  });

  it('loads what is missing once for all who ask at the same moment', async () => {
    const { stock, calls } = table([{ sku: 'a', available: 1, version: 1 }]);
    await Promise.all([stock.ensure(['a', 'b']), stock.ensure(['b', 'a']), stock.ensure(['a'])]);
    assert.deepEqual(calls, [['a', 'b']]);
    assert.deepEqual(stock.get('a'), { available: 1, version: 1 });
  });

  it('counts a sku without a row as version 0 with nothing available', async () => {
    const { stock } = table([]);
    await stock.ensure(['new']);
    assert.deepEqual(stock.get('new'), { available: 0, version: 0 });
  });

  it('asks the table again only for copies older than the limit', async () => {
    const { stock, calls, clock, stored } = table([{ sku: 'a', available: 1, version: 1 }]);
    await stock.ensure(['a']);
    clock.advance(2_000);
    await stock.ensure(['a']);
    assert.equal(calls.length, 1);
    clock.advance(1);
    stored.set('a', { sku: 'a', available: 5, version: 4 });
    await stock.ensure(['a']);
    assert.equal(calls.length, 2);
    assert.deepEqual(stock.get('a'), { available: 5, version: 4 });
  });

  it('reads again for a reload that comes while a load is under way', async () => {
    let release = () => {};
    let calls = 0;
    const load = async (skus: readonly string[]) => {
      calls += 1;
      const version = calls;
      if (calls === 1) await new Promise<void>((resolve) => (release = resolve));
      return skus.map((sku) => ({ sku, available: version, version }));
    };
    const stock = new StockCache({ load, clock: new ManualClock() });
    const first = stock.ensure(['a']);
    await Promise.resolve();
    const second = stock.reload(['a']);
    release();
    await Promise.all([first, second]);
    assert.deepEqual(stock.get('a'), { available: 2, version: 2 });
  });

  it('rejects while the table cannot be read, and goes on after', async () => {
    let broken = true;
    const load = async () => {
      if (broken) throw new Error('away');
      return [{ sku: 'a', available: 1, version: 1 }];
    };
    const stock = new StockCache({ load, clock: new ManualClock() });
    await assert.rejects(stock.ensure(['a']), /away/);
    assert.equal(stock.get('a'), undefined);
    broken = false;
    await stock.ensure(['a']);
    assert.deepEqual(stock.get('a'), { available: 1, version: 1 });
  });

  it('finds within one comparison a change of a followed sku whose projection never came', async () => {
    const { stock, clock, stored, heard } = table([{ sku: 'a', available: 1, version: 1 }]);
    stock.follow('a');
    await stock.ensure(['a']);
    stock.start();
    stored.set('a', { sku: 'a', available: 0, version: 2 });
    clock.advance(2_000);
    await turns();
    assert.deepEqual(heard.at(-1), ['a', 0, 2]);
    stock.close();
    stored.set('a', { sku: 'a', available: 9, version: 3 });
    clock.advance(10_000);
    await turns();
    assert.deepEqual(heard.at(-1), ['a', 0, 2]);
  });

  it('goes on comparing after a comparison that failed', async () => {
    const failures: unknown[] = [];
    const clock = new ManualClock();
    const load = async () => {
      throw new Error('away');
    };
    const stock = new StockCache({ load, clock, onError: (error) => failures.push(error) });
    stock.follow('a');
    stock.start();
    for (let round = 1; round <= 3; round++) {
      clock.advance(2_000);
      await turns();
      assert.equal(failures.length, round);
    }
    stock.close();
  });

  it('keeps followed skus and forgets the least used of the others', async () => {
    const { stock } = table([], { limit: 2 });
    stock.apply(projection('kept', 1, 1));
    stock.follow('kept');
    for (const sku of ['a', 'b', 'c']) stock.apply(projection(sku, 1, 1));
    assert.deepEqual(stock.get('kept'), { available: 1, version: 1 });
    assert.equal(stock.get('a'), undefined);
    assert.equal(stock.size, 3);
    stock.unfollow('kept');
    assert.equal(stock.size, 2);
    assert.deepEqual(stock.get('kept'), { available: 1, version: 1 });
  });

  it('asks the table for at most the limit of skus at once', async () => {
    const { stock, calls } = table([], { loadLimit: 2 });
    await stock.ensure(['a', 'b', 'c', 'd', 'e']);
    assert.deepEqual(calls, [['a', 'b'], ['c', 'd'], ['e']]);
  });

  it('tells only growing versions of a sku, whatever order rows come in, and ends on the newest', () => {
    const rows = fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.nat({ max: 30 })), { maxLength: 60 });
    fc.assert(
      fc.property(rows, (list) => {
        const { stock, heard } = table([]);
        for (const [sku, version] of list) stock.apply(projection(sku, version, version));
        for (const sku of ['a', 'b']) {
          const told = heard.filter(([name]) => name === sku).map(([, , version]) => version);
          assert.deepEqual(
            told,
            [...new Set(told)].sort((x, y) => x - y),
          );
          const versions = list.filter(([name]) => name === sku).map(([, version]) => version);
          if (versions.length > 0) assert.equal(stock.get(sku)?.version, Math.max(...versions));
        }
      }),
    );
  });
});
