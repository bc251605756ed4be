/**
 * V8 compiles `text.charCodeAt(i)` into a few instructions as long as `String.prototype` is in its fast form. A class that extends `String`
 * (ioredis has one) makes it a prototype anew, which puts it into the slow form, to be mended at the next look-up through an object that
 * inherits from it. Look-ups through plain strings do not count, and others hardly occur; so every method of a string was looked up by its
 * name at each call, 480 times for an add to a cart: 12 % of a node's processor time. Mended once, it stays so.
 */

/** V8 mends at a look-up that its cache has not seen, and begins to keep one for a function after some calls of it. */
const LOOK_UPS = 100;

/** To be called when all modules are loaded. */
export function quickenStringMethods(): void {
  const wrapped: { charCodeAt?: unknown } = Object('text');
  for (let i = 0; i < LOOK_UPS; i++) methodOf(wrapped);
}

function methodOf(wrapped: { charCodeAt?: unknown }): unknown {
  return wrapped.charCodeAt;
}
