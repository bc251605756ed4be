/**
 * A later release of this program, for tests of rolling upgrades: this build copied to a directory of its own, in which the cart's events have
 * another shape under the next version, and can be said in this one's by `downgrade`, as a release that changes events would have it.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { entryPoint } from './shop-process.ts';

const NEXT_CART = `
import { cart as before } from './cart.js';

const known = before.eventVersion;

export const cart = {
  ...before,
  eventVersion: known + 1,
  decide(state, command, ctx) {
    const decision = before.decide(state, command, ctx);
    return decision.events === undefined ? decision : { ...decision, events: decision.events.map((event) => ({ next: event })) };
  },
  apply: (state, event, version, seq) =>
    version > known ? before.apply(state, event.next, known, seq) : before.apply(state, event, version, seq),
  downgrade: (event, version) => (version === known ? event.next : null),
};
`;

export interface NextRelease {
  /** Its `stampede.js`. */
  readonly entry: string;
  /** The version in which it writes the events of carts once nobody else is left. */
  readonly cartVersion: number;
  remove(): void;
}

export function nextRelease(): NextRelease {
  const dist = dirname(entryPoint());
  const directory = mkdtempSync(join(tmpdir(), 'stampede-next-'));
  const copy = join(directory, 'dist');
  cpSync(dist, copy, { recursive: true, filter: (path) => !/\.test\.js(\.map)?$/.test(path) });
  cpSync(join(dist, '..', 'package.json'), join(directory, 'package.json'));
  symlinkSync(join(dist, '..', 'node_modules'), join(directory, 'node_modules'));
  writeFileSync(join(copy, 'actors', 'cart-next.js'), NEXT_CART);
  const registry = join(copy, 'actors', 'registry.js');
  const text = readFileSync(registry, 'utf8');
  const changed = text.replace("from './cart.js'", "from './cart-next.js'");
  if (changed === text) throw new Error('the registry names the cart otherwise than this expects');
  writeFileSync(registry, changed);
  const version = /eventVersion: (\d+)/.exec(readFileSync(join(copy, 'actors', 'cart.js'), 'utf8'))?.[1];
  return {
    entry: join(copy, 'stampede.js'),
    cartVersion: Number(version) + 1,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
