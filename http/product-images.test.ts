import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { demoData } from '../schema/demo.ts';
import { productImage } from './product-images.ts';

/** Enough of XML to catch what breaks a picture: tags nest, attributes are quoted, nothing unescaped in text. */
function assertWellFormed(svg: string): void {
  const open: string[] = [];
  const token =
    /<(\/?)([a-zA-Z]+)((?:\s+[a-zA-Z][\w:-]*="[^"<&]*(?:&(?:amp|lt|gt|quot|#39);[^"<&]*)*")*)\s*(\/?)>|([^<]+)/gy;
  let end = 0;
  for (const [whole, closing, name, , selfClosing, text] of svg.matchAll(token)) {
    end += whole.length;
    if (text !== undefined) assert.doesNotMatch(text, /&(?!(amp|lt|gt|quot|#39);)/);
    else if (closing === '/') assert.equal(open.pop(), name);
    else if (selfClosing !== '/') open.push(name ?? '');
  }
  assert.equal(end, svg.length, `not XML from: ${svg.slice(end, end + 80)}`);
  assert.deepEqual(open, []);
}

test('every demo product has a picture below 4 KB, and none looks like a stranger’s category', () => {
  const { products } = demoData();
  const pictures = products.map(({ sku, name, category }) => productImage(sku, name, category));
  for (const picture of pictures) {
    assertWellFormed(picture);
    assert.ok(Buffer.byteLength(picture) < 4_096);
    assert.doesNotMatch(picture, /NaN|undefined|null/);
  }
  assert.equal(new Set(pictures).size, pictures.length);
  const parcel = productImage('X', 'X', 'nothing known')
    .split('<ellipse')
    .at(-1)
    ?.replaceAll(/hsl\([^)]*\)/g, '');
  for (const picture of pictures)
    assert.notEqual(
      picture
        .split('<ellipse')
        .at(-1)
        ?.replaceAll(/hsl\([^)]*\)/g, ''),
      parcel,
    );
});

test('the same product has the same picture each time', () => {
  assert.equal(productImage('A', 'Mug', 'Kitchen'), productImage('A', 'Mug', 'Kitchen'));
});

test('no sku, name or category can break out of the picture or make it large', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom(
      '</title><script>alert(1)</script>',
      '" onload="x',
      "'&<>",
      'a\0b\u0007',
      '\ud83d',
      'é'.repeat(1_000),
    ),
  );
  fc.assert(
    fc.property(hostile, hostile, hostile, (sku, name, category) => {
      const picture = productImage(sku, name, category);
      assertWellFormed(picture);
      assert.ok(Buffer.byteLength(picture) < 4_096);
      assert.doesNotMatch(picture, /<script|<image|<use|href=|\son\w+="|\0/);
    }),
    { numRuns: 100 },
  );
});
