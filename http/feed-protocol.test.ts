import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Packr, unpack } from 'msgpackr';
import { decodeStrict } from './feed-msgpack.ts';
import { chooseSubprotocol, encode, parse, parseQuery, type ServerMessage } from './feed-protocol.ts';

const packr = new Packr({ useRecords: false });
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

function refused(value: unknown): void {
  assert.equal(parse('stampede.v1.json', text(value), false).ok, false, JSON.stringify(value));
  assert.equal(parse('stampede.v1.msgpack', packr.pack(value), true).ok, false, JSON.stringify(value));
}

describe('the feed protocol', () => {
  it('reads the same messages in both subprotocols', () => {
    const sent = { type: 'subscribe', skus: ['a', 'b', 'a'], since: { a: 7 }, later: true };
    for (const parsed of [
      parse('stampede.v1.json', text(sent), false),
      parse('stampede.v1.msgpack', packr.pack(sent), true),
    ]) {
      assert.ok(parsed.ok && parsed.message.type === 'subscribe');
      assert.deepEqual(parsed.message.skus, ['a', 'b']);
      assert.deepEqual([...parsed.message.since], [['a', 7]]);
    }
  });

  it('refuses what is no message of a client', () => {
    const skus = Array.from({ length: 201 }, (_, i) => `s${i}`);
    for (const value of [
      null,
      7,
      'subscribe',
      [],
      {},
      { type: 'stock' },
      { type: 'subscribe' },
      { type: 'subscribe', skus: [] },
      { type: 'subscribe', skus },
      { type: 'subscribe', skus: [''] },
      { type: 'subscribe', skus: [1] },
      { type: 'subscribe', skus: ['x'.repeat(65)] },
      { type: 'subscribe', skus: ['a'], since: [] },
      { type: 'subscribe', skus: ['a'], since: { a: -1 } },
      { type: 'subscribe', skus: ['a'], since: { a: 1.5 } },
      { type: 'subscribe', skus: ['a'], since: { a: '1' } },
      { type: 'unsubscribe', skus: 'a' },
      { type: 'auth' },
      { type: 'auth', ticket: 'x'.repeat(513) },
    ]) {
      refused(value);
    }
  });

  it('refuses frames of the other kind, cut-off ones and ones that are not UTF-8', () => {
    assert.equal(parse('stampede.v1.json', text({ type: 'ping' }), true).ok, false);
    assert.equal(parse('stampede.v1.msgpack', packr.pack({ type: 'ping' }), false).ok, false);
    assert.equal(parse('stampede.v1.json', Uint8Array.of(0x22, 0xff, 0x22), false).ok, false);
    assert.equal(parse('stampede.v1.json', new TextEncoder().encode('{"type":'), false).ok, false);
    assert.equal(parse('stampede.v1.msgpack', packr.pack({ type: 'ping' }).subarray(0, 5), true).ok, false);
  });

  it('writes the same message in both subprotocols, as plain maps', () => {
    const message: ServerMessage = { type: 'snapshot', sku: 'a', available: 3, version: 70_000 };
    const json = encode('stampede.v1.json', message);
    const packed = encode('stampede.v1.msgpack', message);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(json.data)), message);
    assert.deepEqual(decodeStrict(packed.data), message);
    assert.deepEqual(unpack(packed.data), message);
    assert.deepEqual([json.binary, packed.binary], [false, true]);
  });

  it('takes the first subprotocol that it knows, and JSON where none is asked for', () => {
    assert.equal(chooseSubprotocol(''), 'stampede.v1.json');
    assert.equal(chooseSubprotocol('x, stampede.v1.msgpack ,stampede.v1.json'), 'stampede.v1.msgpack');
    assert.equal(chooseSubprotocol('stampede.v2.json'), undefined);
  });

  it('subscribes to the skus of the address', () => {
    const parsed = parseQuery('a,b');
    assert.ok(parsed?.ok && parsed.message.type === 'subscribe');
    assert.deepEqual(parsed.message.skus, ['a', 'b']);
    assert.equal(parseQuery(''), undefined);
    assert.equal(parseQuery(',')?.ok, false);
  });
});

describe('the strict MessagePack reader', () => {
  it('reads what a MessagePack library writes', () => {
    const leaf = fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
      fc.double({ noNaN: true }),
    );
    const value = fc.oneof(
      leaf,
      fc.array(leaf, { maxLength: 20 }),
      // The library reads the one key below under another name, which ours has no need to.
      fc.dictionary(
        fc.string().filter((key) => key !== '__proto__'),
        fc.oneof(leaf, fc.array(leaf)),
        { maxKeys: 20 },
      ),
    );
    fc.assert(
      fc.property(value, (sent) => {
        // Through JSON: neither side keeps the sign of zero or a missing prototype.
        assert.deepEqual(decodeStrict(packr.pack(sent)), structuredClone(packr.unpack(packr.pack(sent))));
      }),
    );
  });

  it('takes no extension types: no records, no dates, no sets', () => {
    const records = new Packr({ useRecords: true, structures: [] });
    assert.throws(() => decodeStrict(records.pack({ type: 'ping' })), RangeError);
    assert.throws(() => decodeStrict(packr.pack(new Date())), RangeError);
    assert.throws(() => decodeStrict(Uint8Array.of(0xd4, 0x72, 0x40)), RangeError);
    assert.throws(() => decodeStrict(Uint8Array.of(0xc7, 1, 0x72, 0)), RangeError);
  });

  it('ends on any bytes with a value or a RangeError, and changes no prototype', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeStrict(bytes);
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      }),
    );
    const hostile = Uint8Array.of(0x81, 0xa9, ...new TextEncoder().encode('__proto__'), 0x81, 0xa1, 0x78, 1);
    const value = decodeStrict(hostile) as object;
    assert.ok(Object.hasOwn(value, '__proto__'));
    assert.equal(({} as Record<string, unknown>).x, undefined);
  });

  it('refuses a length that the bytes do not hold, without reserving it', () => {
    assert.throws(() => decodeStrict(Uint8Array.of(0xdc, 0xff, 0xff)), RangeError);
    assert.throws(() => decodeStrict(Uint8Array.of(0xde, 0xff, 0xff, 0xa1)), RangeError);
    assert.throws(() => decodeStrict(Uint8Array.of(0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x01)), RangeError);
  });
});
