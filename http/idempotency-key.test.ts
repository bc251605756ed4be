import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonical, edgeKey, isUuid, keyHash, parseIdempotencyKey } from './idempotency-key.ts';

test('the quoted and the bare form of a key are one key', () => {
  assert.equal(parseIdempotencyKey('abc'), 'abc');
  assert.equal(parseIdempotencyKey('"abc"'), 'abc');
  assert.equal(parseIdempotencyKey('"a\\"b\\\\c"'), 'a"b\\c');
  assert.equal(parseIdempotencyKey('k'.repeat(255)), 'k'.repeat(255));
});

test('what is no key is refused', () => {
  for (const header of ['', '""', '"', '"a', '"a"b"', '"a\\b"', 'a b', 'a\tb', 'ä', '\0', 'k'.repeat(256), '"a";p=1'])
    assert.equal(parseIdempotencyKey(header), null, JSON.stringify(header));
});

test('a hash has 22 characters and depends on the key alone', () => {
  const key = edgeKey('k', 'POST', '/a', { a: 1 });
  assert.equal(key.hash, keyHash('k'));
  assert.match(key.hash, /^[\w-]{22}$/);
  assert.match(key.fingerprint, /^[\w-]{22}$/);
});

test('a fingerprint tells method, path and body apart, and no other spelling of the same body', () => {
  const of = (method: string, path: string, body: unknown) => edgeKey('k', method, path, body).fingerprint;
  const same = of('POST', '/a', { a: 1, b: [{ c: 'x', d: null }] });
  assert.equal(of('POST', '/a', JSON.parse('{ "b": [ {"d":null, "c":"\\u0078"} ], "a": 1.0 }')), same);
  const others = [
    of('PUT', '/a', { a: 1, b: [{ c: 'x', d: null }] }),
    of('POST', '/b', { a: 1, b: [{ c: 'x', d: null }] }),
    of('POST', '/a', { a: '1', b: [{ c: 'x', d: null }] }),
    of('POST', '/a', { a: 1, b: [{ c: 'x' }] }),
    of('POST', '/a', {}),
    of('POST', '/a', undefined),
    of('POST', '/a', Buffer.from('{}')),
  ];
  assert.equal(new Set([same, ...others]).size, others.length + 1);
});

test('the canonical form is JSON of the same value, whatever the order of fields', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonical(value);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      const turned = JSON.parse(JSON.stringify(value), (_, part) =>
        typeof part === 'object' && part !== null && !Array.isArray(part)
          ? Object.fromEntries(Object.entries(part).reverse())
          : part,
      );
      assert.equal(canonical(turned), text);
    }),
  );
});

test('only a UUID is a UUID', () => {
  assert.ok(isUuid('B3D1C0DE-0000-4000-8000-00000000000a'));
  for (const text of ['', 'b3d1c0de00004000800000000000000a', '{b3d1c0de-0000-4000-8000-00000000000a}'])
    assert.ok(!isUuid(text));
});
