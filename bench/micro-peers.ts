/** The parts of the micro bench that a call to another member adds to one at home: its bytes, and the whole way there and back. */
import { ManualClock } from '../runtime/manual-clock.ts';
import { MemoryNetwork } from '../runtime/memory-bus.ts';
import {
  decodeMessage,
  encodeMessage,
  encodeReply,
  encodeRequest,
  type PeerMessage,
} from '../runtime/peers-protocol.ts';
import { Router } from '../runtime/router.ts';
import { shardOf } from '../runtime/shard.ts';
import type { Part } from './micro.ts';

/** As the edge says it, and as a cart's owner answers it: a document of 3 lines is about 2 KB. */
const COMMAND = {
  kind: 'add_line',
  product: {
    sku: 'KIT-CASTPAN',
    maxPerOrder: null,
    holdAt: 'checkout',
    holdTtlMs: 600_000,
    currencies: ['USD', 'EUR'],
  },
  quantity: 1,
  ifMatch: undefined,
};
const BODY = { kind: 'command', command: COMMAND, key: undefined, render: true, repeatable: false } as const;
const ANSWER = { status: 200, headers: { etag: '"5"' }, body: Buffer.alloc(2_000, 'x') };
const DEADLINE_MS = 1_790_000_010_000;
const MEMBERS = ['node-1.0123456789abcdef', 'node-2.0123456789abcdef'] as const;

const ref = (i: number) => ({ type: 'cart', id: `cart_01934b2c-7f00-7a11-8b22-${String(i).padStart(12, '0')}` });

function read(bytes: Uint8Array, items: number): PeerMessage {
  const message = decodeMessage(bytes);
  if (message?.items.length !== items) throw new Error('the message was not read');
  return message;
}

/** Requests into one message, out of it, answers into another, out of that. */
function exchange(count: number): void {
  const requests: Uint8Array[] = [];
  for (let id = 1; id <= count; id++) {
    requests.push(encodeRequest(id, ref(id), BODY, DEADLINE_MS));
  }
  const asked = read(encodeMessage(MEMBERS[0], 1, requests), count);
  const replies = asked.items.map(({ id }) => encodeReply({ kind: 'value', id, value: ANSWER }));
  read(encodeMessage(MEMBERS[1], 1, replies), count);
}

/** Two members in one process, on a bus in memory; the second answers at once. */
function pair(closers: (() => Promise<unknown> | undefined)[]) {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const shards = { ownerOf: () => ({ incarnation: MEMBERS[1], epoch: 1 }), hint: () => {}, onMoved: () => {} };
  const routers = MEMBERS.map((incarnation, index) => {
    const membership = { incarnation, owns: () => index === 1 };
    const router = new Router({ bus: network.bus(incarnation), clock, membership, shards });
    closers.push(async () => router.close());
    return router;
  });
  const listening = Promise.all(routers.map((router) => router.listen(async () => ANSWER)));
  return async (count: number): Promise<void> => {
    await listening;
    await Promise.all(
      Array.from({ length: count }, (_, i) => {
        const to = ref(i);
        return new Promise((resolve, reject) => {
          routers[0]?.forward({
            ref: to,
            shard: shardOf(to.type, to.id),
            command: COMMAND,
            key: undefined,
            render: true,
            deadline: clock.monotonic() + 10_000,
            repeatable: false,
            resolve,
            reject,
            home: () => reject(new Error('decided at home')),
          });
        });
      }),
    );
  };
}

export function peerParts(closers: (() => Promise<unknown> | undefined)[]): Part[] {
  const call = pair(closers);
  return [
    { name: 'peers: bytes of a request and its answer', items: 1, run: () => exchange(1) },
    { name: 'peers: bytes of a request and its answer, 32 a message', items: 32, run: () => exchange(32) },
    { name: 'peers: to another member and back, one at a time', items: 1, run: () => call(1) },
    { name: 'peers: to another member and back, 32 at once', items: 32, run: () => call(32) },
  ];
}
