/** Bytes that no well-behaved client sends, as arbitraries: requests that were twisted at a few places, noise, and WebSocket frames. */
import fc from 'fast-check';
import { frame } from './attack.ts';

/**
 * @param cartId of an open cart
 * @param token of another cart
 */
export function malformedRequests(cartId: string, token: string, sku: string): fc.Arbitrary<Buffer> {
  const head = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');
  const body = JSON.stringify({ sku, quantity: 1 });
  const seeds = [
    head('GET /v1/products?limit=2&q=a HTTP/1.1\nHost: shop\n\n'),
    head(
      `POST /v1/carts/${cartId}/lines HTTP/1.1\nHost: shop\nAuthorization: Bearer ${token}\nContent-Type: application/json\nIdempotency-Key: k\nContent-Length: ${body.length}\n\n${body}`,
    ),
    head('DELETE /v1/admin/products/x HTTP/1.1\nHost: shop\nAuthorization: Bearer x\n\n'),
    head(
      'GET /v1/feed HTTP/1.1\nHost: shop\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n',
    ),
  ];
  const request = fc
    .record({ seed: fc.nat({ max: seeds.length - 1 }), changes: fc.array(change, { minLength: 1, maxLength: 5 }) })
    .map(({ seed, changes }) => twisted(seeds[seed] as Buffer, changes));
  return fc.oneof({ arbitrary: request, weight: 4 }, { arbitrary: noise(6_000), weight: 1 });
}

/** JSON bodies, twisted, of the true length: they reach the parser and the validator. */
export function malformedBodies(cartId: string, token: string, sku: string): fc.Arbitrary<Buffer> {
  const good = Buffer.from(JSON.stringify({ sku, quantity: 1 }));
  const json = fc.json({ maxDepth: 6 }).map((text) => Buffer.from(text));
  const twistedJson = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => twisted(good, changes));
  return fc.oneof(json, twistedJson, noise(2_000)).map((body) => {
    const headers = `Host: shop\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
    return Buffer.concat([Buffer.from(`POST /v1/carts/${cartId}/lines HTTP/1.1\r\n${headers}\r\n\r\n`), body]);
  });
}

/** Frames of any opcode, flags, mask and pretended length, around messages of the feed that were twisted. */
export function malformedFrames(sku: string): fc.Arbitrary<Buffer> {
  const messages = [
    `{"type":"subscribe","skus":["${sku}"]}`,
    `{"type":"unsubscribe","skus":["${sku}"]}`,
    '{"type":"ping"}',
    `{"type":"subscribe","skus":["${sku}"],"since":{"${sku}":1}}`,
  ].map((text) => Buffer.from(text));
  const payload = fc.oneof(
    fc
      .record({ seed: fc.nat({ max: messages.length - 1 }), changes: fc.array(change, { maxLength: 4 }) })
      .map(({ seed, changes }) => twisted(messages[seed] as Buffer, changes)),
    noise(300),
  );
  const first = fc.oneof({ arbitrary: fc.constantFrom(0x81, 0x82), weight: 3 }, { arbitrary: fc.nat(255), weight: 2 });
  const lie = fc.option(fc.nat(2 ** 31), { nil: undefined, freq: 6 });
  return fc
    .record({ first, payload, masked: fc.boolean(), lie, always: fc.boolean() })
    .map(({ first: byte, payload: data, masked, lie: length, always }) =>
      frame(byte, data, { masked: masked || always, ...(length === undefined ? {} : { length }) }),
    );
}

interface Change {
  readonly at: number;
  readonly cut: number;
  readonly put: Uint8Array;
}

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.nat({ max: 12 }),
  put: fc.oneof(
    fc.uint8Array({ maxLength: 24 }),
    fc
      .constantFrom('\r\n', '\0', ':', ' ', '\r\n\r\n', 'Content-Length: 9\r\n', '%00', 'chunked', '{', '"', '\\ud800')
      .map((text) => Buffer.from(text)),
  ),
});

function twisted(seed: Buffer, changes: readonly Change[]): Buffer {
  let bytes = seed;
  for (const { at, cut, put } of changes) {
    const from = Math.floor(at * bytes.length);
    bytes = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + cut)]);
  }
  return bytes;
}

function noise(bytesMax: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength: bytesMax }).map((bytes) => Buffer.from(bytes));
}
