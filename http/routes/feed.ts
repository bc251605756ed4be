/**
 * The feed in the table of routes: what is told of it in the OpenAPI document, and the answer to a request that is no upgrade. The
 * sockets themselves are `feed.ts`, which the native server asks first.
 */
import Type from 'typebox';
import { SKUS_PER_MESSAGE_MAX, SUBPROTOCOLS } from '../feed-protocol.ts';
import { problem } from '../problem.ts';
import { type AnyRoute, route } from '../route.ts';

export function feedRoutes(): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/feed',
      operationId: 'openFeed',
      summary: `Live stock over a WebSocket (subprotocols ${SUBPROTOCOLS.join(', ')})`,
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
