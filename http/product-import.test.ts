import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IMPORT_MAX } from '../schema/catalogue.ts';
import { readImport } from './product-import.ts';

const read = (text: string, form: 'ndjson' | 'csv') => readImport(Buffer.from(text), form);

test('NDJSON and CSV of the same products come to the same products', () => {
  const ndjson = read(
    '{"sku":"A","name":"Tea, green","category":"food","prices":{"USD":500,"JPY":700},"maxPerOrder":3}\n\r\n' +
      '{"sku":"B","name":"Cup","category":"home","prices":{"USD":900},"compareAtPrices":{"USD":1200},"holdAt":"cart","holdTtlMs":60000,"active":false}',
    'ndjson',
  );
  const csv = read(
    '\uFEFFsku,name,category,price.USD,price.JPY,compareAtPrice.USD,maxPerOrder,holdAt,holdTtlMs,active\r\n' +
      'A,"Tea, green",food,500,700,,3,,,\r\nB,Cup,home,900,,1200,,cart,60000,false\r\n',
    'csv',
  );
  assert.ok('products' in ndjson, JSON.stringify(ndjson));
  assert.deepEqual(csv, ndjson);
  assert.equal(ndjson.products[0]?.holdAt, 'checkout');
  assert.equal(ndjson.products[1]?.active, false);
});

test('what is wrong is told with the number of its line', () => {
  const good = '{"sku":"A","name":"x","category":"c","prices":{"USD":1}}';
  const wrong: [string, 'ndjson' | 'csv', string][] = [
    [`${good}\n{"sku":`, 'ndjson', '/lines/2'],
    [`${good}\n\n{"sku":"B","name":"x","category":"c","prices":{"USD":-1}}`, 'ndjson', '/lines/3/prices/USD'],
    [`${good}\n${good}`, 'ndjson', '/lines/2/sku'],
    [`${good}\n{"sku":"B","name":"x","category":"c","prices":{"USD":1},"colour":"red"}`, 'ndjson', '/lines/2/colour'],
    [`${good}\n{"sku":"B","name":"\\u0000","category":"c","prices":{"USD":1}}`, 'ndjson', '/lines/2'],
    ['', 'ndjson', ''],
    ['sku,name,category,price.USD\nA,x,c,1\nB,x,c,1.50\n', 'csv', '/lines/3/prices/USD'],
    ['sku,name,category,price.USD\nA,x,c\n', 'csv', '/lines/2'],
    ['sku,sku,category,price.USD\nA,x,c,1\n', 'csv', '/lines/1'],
    ['sku,name,category,price.USD,colour\nA,x,c,1,red\n', 'csv', '/lines/2/colour'],
    ['sku,name,category\nA,x,c\n', 'csv', '/lines/2/prices'],
  ];
  for (const [text, form, path] of wrong) {
    const outcome = read(text, form);
    assert.ok('errors' in outcome, text);
    assert.ok(
      outcome.errors.some((error) => error.path === path),
      `${JSON.stringify(text)}: ${JSON.stringify(outcome.errors)}`,
    );
  }
});

test('bytes that are no UTF-8 and more rows than the limit are refused', () => {
  assert.ok('errors' in readImport(Buffer.from([0xff, 0xfe]), 'csv'));
  const rows = Array.from(
    { length: IMPORT_MAX + 1 },
    (_, i) => `{"sku":"S${i}","name":"x","category":"c","prices":{"USD":1}}`,
  );
  assert.ok('errors' in read(rows.join('\n'), 'ndjson'));
  assert.ok('products' in read(rows.slice(1).join('\n'), 'ndjson'));
});
