/**
 * The feed in the table of routes: what is told of it in the OpenAPI document, and the answer to a request that is no upgrade. The
 * sockets themselves are `feed.ts`, which the native server asks first.
 */
import Type from 'typebox';
import { SKUS_PER_MESSAGE_MAX, SUBPROTOCOLS } from '../feed-protocol.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, route } from '../route.ts';

const MESSAGES = `Say \`{ "type": "subscribe", "skus": [...], "since"?: { sku: version } }\` (1 to ${SKUS_PER_MESSAGE_MAX} skus in a message, at
most 1,000 on a socket), \`unsubscribe\`, \`{ "type": "auth", "ticket" }\` or \`{ "type": "ping" }\`.

Hear for each sku one \`snapshot\` (\`sku, available, version\`), or \`current\` where \`since\` is up to date; then \`stock\`
with \`at\`; also \`pong\` and \`error\` (\`code, detail\`). Versions only grow; a slow reader skips some and ends on the newest.

Closed with 4000 (bad message), 4008 (too slow) or 4013 (going away; \`retryAfterMs\` in the reason).`;

export function feedRoutes(): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/feed',
      operationId: 'openFeed',
      summary: `Live stock over a WebSocket (subprotocols ${SUBPROTOCOLS.join(', ')})`,
      description: MESSAGES,
      tag: 'feed',
      access: 'none',
      query: Type.Object(
        {
          skus: Type.Optional(
            Type.Array(Type.String(), {
              maxItems: SKUS_PER_MESSAGE_MAX,
              description: 'Skus to subscribe to at once, with commas between them.',
            }),
          ),
        },
        { additionalProperties: false },
      ),
      responses: { 101: { description: 'The connection is a WebSocket from here on.' } },
      problems: ['upgrade_required', 'forbidden'],
      handle: () => problem('upgrade_required', { headers: { upgrade: 'websocket', connection: 'upgrade' } }),
    }),
  ];
}
