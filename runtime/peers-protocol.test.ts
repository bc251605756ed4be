/** The form of what members say to each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { Fault } from './fault.ts';
import { bytesKept } from './fixture-heap.ts';
import { FAULT_CODES } from './metrics.ts';
import {
  decodeMessage,
  encodeMessage,
  encodeReply,
  encodeRequest,
  encodeSign,
  messageOverhead,
  type PeerItem,
} from './peers-protocol.ts';

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true });

/** What members may say: plain data, numbers without -0, text without lone surrogates, as the edge lets it in. */
const text = fc.string({ unit: 'grapheme' });
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, undefined, true, false),
    fc.double().map((n) => (Object.is(n, -0) ? 0 : n)),
    fc.maxSafeInteger(),
    text,
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(
      text.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 6, noNullPrototype: true },
    ),
  ),
})).value;

const name = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 });
const id = fc.nat();
const ref = record({ type: name, id: name });
const anyItem: fc.Arbitrary<PeerItem> = fc.oneof(
  record({
    kind: fc.constant('command' as const),
    id,
    ref,
    command: plain,
    key: fc.option(record({ hash: name, fingerprint: name }), { nil: undefined }),
    render: fc.boolean(),
    repeatable: fc.boolean(),
    deadlineMs: fc.nat(),
  }),
  record({ kind: fc.constant('service' as const), id, ref, service: name, input: plain, deadlineMs: fc.nat() }),
  record({ kind: fc.constant('value' as const), id, value: plain }),
  record({
    kind: fc.constant('fault' as const),
    id,
    fault: fc
      .tuple(fc.constantFrom(...FAULT_CODES), text, fc.boolean(), fc.option(fc.nat(), { nil: undefined }))
      .map(([code, message, retryable, retryAfterMs]) => {
        return new Fault(code, message, { retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
      }),
  }),
  record({ kind: fc.constantFrom('working' as const, 'ping' as const), id }),
  record({
    kind: fc.constant('moved' as const),
    id,
    owner: fc.option(record({ incarnation: name, epoch: fc.nat() })),
  }),
);

function encode(item: PeerItem): Uint8Array {
  switch (item.kind) {
    case 'command':
    case 'service':
      return encodeRequest(item.id, item.ref, item, item.deadlineMs);
    case 'working':
    case 'ping':
      return encodeSign(item);
    default:
      return encodeReply(item);
  }
}

const known = (item: PeerItem): unknown =>
  item.kind === 'fault' ? { ...item, fault: { ...item.fault, message: item.fault.message } } : item;

test('whatever is said arrives equal and in order, many items in one message', () => {
  fc.assert(
    fc.property(name, id, fc.array(anyItem, { maxLength: 20 }), (from, floor, items) => {
      const encoded = items.map(encode);
      const bytes = encodeMessage(from, floor, encoded);
      assert.ok(bytes.length <= encoded.reduce((sum, item) => sum + item.length, messageOverhead(from)));
      const message = decodeMessage(bytes);
      assert.ok(message !== null);
      assert.deepEqual(
        { ...message, items: message.items.map(known) },
        {
          from,
          floor,
          items: items.map(known),
          unreadable: 0,
        },
      );
    }),
  );
});

test('a fault arrives as a fault', () => {
  const fault = new Fault('overloaded', 'too much', { retryAfterMs: 250 });
  const message = decodeMessage(encodeMessage('a.1', 1, [encodeReply({ kind: 'fault', id: 7, fault })]));
  const item = message?.items[0];
  assert.ok(item?.kind === 'fault' && item.fault instanceof Fault);
  assert.equal(item.fault.message, 'too much');
  assert.deepEqual({ ...item.fault }, { ...fault });
});

test('a fault of a code that this version does not know says that nothing is known', () => {
  const packr = new Packr({ useRecords: false });
  const raw = packr.pack([3, 7, 'invented_later', 'a message', true, null]);
  const item = decodeMessage(encodeMessage('a.1', 1, [raw]))?.items[0];
  assert.ok(item?.kind === 'fault');
  assert.equal(item.fault.code, 'outcome_unknown');
});

test('any bytes are a message, or none, and never a throw', () => {
  const body = { kind: 'command', command: { kind: 'add' }, key: undefined, render: true, repeatable: false } as const;
  const item = encodeRequest(1, { type: 'cart', id: 'c' }, body, 1);
  const message = Buffer.from(encodeMessage('a.1', 1, [item, item]));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeMessage(bytes)));
  // A good head, and anything behind it.
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeMessage(Buffer.concat([Buffer.from([0x94, 1]), bytes]));
    }),
  );
  // A good message with bytes changed, or cut short.
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(message.length - 1), fc.nat(255)), { minLength: 1 }),
      fc.nat(message.length),
      (changes, length) => {
        const changed = Buffer.from(message);
        for (const [at, byte] of changes) changed[at] = byte;
        decodeMessage(changed.subarray(0, length));
      },
    ),
  );
  assert.equal(decodeMessage(Buffer.concat([Buffer.from([0x94, 1]), Buffer.alloc(500_000, 0x91)])), null);
});

test('a message of another version is not read, however it looks otherwise', () => {
  const bytes = encodeMessage('a.1', 1, []);
  assert.ok(decodeMessage(bytes) !== null);
  bytes[1] = 2;
  assert.equal(decodeMessage(bytes), null);
});

test('an item that is none is counted and left out, and the others are read', () => {
  const packr = new Packr({ useRecords: false });
  const good = encodeReply({ kind: 'value', id: 3, value: 'here' });
  for (const bad of [
    packr.pack('text'),
    packr.pack([]),
    packr.pack([9, 1]),
    packr.pack([2, -1, 'x']),
    packr.pack([0, 1, 'cart', 'c']),
    packr.pack([0, 1, 'cart', 'c', null, 5, null, 0, 0]),
    packr.pack([1, 1, 'cart', 'c', 5, null, 0]),
    packr.pack([3, 1, 'internal', 5, true, null]),
    packr.pack([4, 1, 'x', 'not an epoch']),
  ]) {
    const message = decodeMessage(encodeMessage('a.1', 1, [bad, good]));
    assert.equal(message?.unreadable, 1);
    assert.deepEqual(message.items, [{ kind: 'value', id: 3, value: 'here' }]);
  }
});

test('bytes in a value do not keep the message in memory', () => {
  const bytes = encodeMessage('a.1', 1, [encodeReply({ kind: 'value', id: 1, value: Buffer.alloc(10, 7) })]);
  const item = decodeMessage(bytes)?.items[0];
  assert.ok(item?.kind === 'value' && item.value instanceof Uint8Array);
  assert.notEqual(item.value.buffer, bytes.buffer);
  bytes.fill(0);
  assert.deepEqual([...item.value], Array(10).fill(7));
});

test('what is kept of a request keeps no message', async () => {
  const id = (n: number) => `cart_${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`;
  const each = await bytesKept(1_000, 1_500, (index) => {
    const items = Array.from({ length: 40 }, (_, at) => {
      const command = { kind: 'add_line', sku: `SKU-OF-SOME-LENGTH-${index}`, quantity: 1 };
      const key = { hash: `hash of the key ${index}`, fingerprint: `its fingerprint ${index}` };
      const body = { kind: 'command', command, key, render: false, repeatable: false } as const;
      return encodeRequest(at + 1, { type: 'cart', id: id(index * 100 + at) }, body, 5_000);
    });
    return decodeMessage(encodeMessage('node-1.0123456789abcdef', 1, items))?.items[7];
  });
  assert.ok(each < 1_500, `${each} bytes for one request of forty`);
});
