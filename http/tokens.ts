/**
 * Credentials that need no table. A cart's token is an HMAC of the cart's id, so it opens that cart on every node and after every
 * restart; a cart created under an idempotency key gets its id from an HMAC of the key, so a retry finds it. Operators' keys
 * are compared by their SHA-256 in constant time.
 *
 * Secrets are a list: the first signs, all verify (rotation: `old,new`, then `new,old`, then `new`).
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { ownString } from '../runtime/own-string.ts';

/** Bytes of a token before base64url: 192 bits. */
const TOKEN_BYTES = 24;
const TOKEN_LENGTH = (TOKEN_BYTES / 3) * 4;
/** Carts whose tokens are kept ready; about 200 bytes each. */
const KEPT_MAX = 20_000;

export class CartTokens {
  readonly #secrets: readonly string[];
  /**
   * What opens a cart that was opened lately, by its id. An HMAC takes 10 µs, a tenth of an add to a cart; found here, the
   * comparison takes half a microsecond. Only a token that has opened its cart leads to an entry, so guesses push none out.
   * Kept as one text, the token under each secret in turn: a buffer for each would take twice the memory.
   */
  readonly #kept = new LRUCache<string, string>({ max: KEPT_MAX });
  readonly #given = Buffer.alloc(TOKEN_LENGTH);
  /** Of the cart that is looked at. */
  readonly #fitting: Buffer;
  readonly #each: readonly Buffer[];

  /** @throws RangeError where no secret is given */
  constructor(secrets: readonly string[]) {
    if (secrets.length === 0) throw new RangeError('at least one token secret is needed');
    this.#secrets = [...secrets];
    this.#fitting = Buffer.alloc(TOKEN_LENGTH * secrets.length);
    this.#each = secrets.map((_, at) => this.#fitting.subarray(at * TOKEN_LENGTH, (at + 1) * TOKEN_LENGTH));
  }

  issue(cartId: string): string {
    return sign(this.#secrets[0] ?? '', cartId);
  }

  /** Whether the token was issued for this cart, under any of the secrets. */
  opens(token: string | null, cartId: string): boolean {
    if (token === null || token.length !== TOKEN_LENGTH) return false;
    this.#given.write(token, 'latin1');
    const kept = this.#kept.get(cartId);
    this.#fitting.write(kept ?? this.#secrets.map((secret) => sign(secret, cartId)).join(''), 'latin1');
    let opens = false;
    // no early exit: the time does not tell which secret fitted
    for (const one of this.#each) if (timingSafeEqual(this.#given, one)) opens = true;
    if (opens && kept === undefined) this.#kept.set(ownString(cartId), this.#fitting.toString('latin1'));
    return opens;
  }

  /**
   * Ids that a cart created under this key may have: first the one that a new cart gets, then those of older secrets, under
   * which an earlier try may have made it.
   * @param key a UUID; its letters' case does not matter
   */
  candidates(key: string): string[] {
    return this.#secrets.map((secret) => `cart_${keyedUuid(secret, key.toLowerCase())}`);
  }
}

function sign(secret: string, cartId: string): string {
  return createHmac('sha256', secret)
    .update(`cart-token:${cartId}`)
    .digest()
    .subarray(0, TOKEN_BYTES)
    .toString('base64url');
}

/** UUIDv8 (RFC 9562, section 5.8): 122 bits of the HMAC, version and variant in their places. */
function keyedUuid(secret: string, key: string): string {
  const bytes = createHmac('sha256', secret).update(`cart-key:${key}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export type Role = 'viewer' | 'operator' | 'admin';
const RANK: Readonly<Record<Role, number>> = { viewer: 1, operator: 2, admin: 3 };

export function roleCovers(role: Role, needed: Role): boolean {
  return RANK[role] >= RANK[needed];
}

export class AdminKeys {
  readonly #digest: Buffer;

  /** @param adminKey the key that `ADMIN_KEY` seeds; it has the role `admin`. */
  constructor(adminKey: string) {
    this.#digest = sha256(adminKey);
  }

  roleOf(bearer: string | null): Role | null {
    if (bearer === null) return null;
    return timingSafeEqual(sha256(bearer), this.#digest) ? 'admin' : null;
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
