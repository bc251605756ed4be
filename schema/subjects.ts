/**
 * Keys of subjects: personal data is stored only encrypted under a key of the person it is about, so that destroying
 * the key erases the person from journal, snapshots and backups of them at once, and leaves the accounts whole.
 *
 * A subject's key is 32 random bytes, stored wrapped by DATA_KEY. Both the wrapping and the data use AES-256-GCM with a
 * random nonce of 96 bits (NIST SP 800-38D) and the subject as associated data, so that neither a key nor a value can be
 * moved to another subject. Random nonces are good for 2^32 values under one key; a subject has a few.
 *
 *     sealed = version (1 byte) | nonce (12) | ciphertext | tag (16)
 *
 * An erased subject keeps its row without a key and never gets another one. Other processes may hold a key in memory
 * for up to `CACHE_TTL_MS` after it was destroyed.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import { grouped } from '../runtime/grouped.ts';
import { ownString } from '../runtime/own-string.ts';
import { Refusal } from '../runtime/refusal.ts';
import { isStorableText } from './binary-array.ts';
import type { Tables } from './tables.ts';

const FORMAT = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CACHE_TTL_MS = 5 * 60_000;
/** Subjects in one INSERT at most. */
const GROUP_MAX = 500;
/** Of a pseudonym, before base64url: 128 bits. */
const PSEUDONYM_BYTES = 16;
const CHECK_SUBJECT = 'stampede:data-key-check';

export interface SubjectKeysOptions {
  readonly db: Kysely<Tables>;
  /** DATA_KEY: 32 bytes. */
  readonly dataKey: Buffer;
  /** Keys in memory at most. Default 10,000. */
  readonly cacheMax?: number;
}

export class SubjectKeys {
  readonly #db: Kysely<Tables>;
  readonly #dataKey: Buffer;
  readonly #pseudonymKey: Buffer;
  readonly #cache: LRUCache<string, Buffer>;
  /** Null, or why the subject has no key that can be used. Calls that come while an INSERT is on its way share the next one. */
  readonly #store = grouped<string, Error | null>(GROUP_MAX, (subjects) => this.#storeAll(subjects));
  /** A key that was read before the last one of these ended may be destroyed by now: it is used, and not kept. */
  #erasures = 0;

  constructor(options: SubjectKeysOptions) {
    if (options.dataKey.length !== KEY_BYTES) throw new Error(`DATA_KEY must be ${KEY_BYTES} bytes`);
    this.#db = options.db;
    this.#dataKey = options.dataKey;
    this.#pseudonymKey = createHmac('sha256', options.dataKey).update('stampede:pseudonym').digest();
    this.#cache = new LRUCache({ max: options.cacheMax ?? 10_000, ttl: CACHE_TTL_MS });
  }

  /** To be called at start: rejects with one line where the database's keys were wrapped by another DATA_KEY. */
  async check(): Promise<void> {
    const value = seal(this.#dataKey, CHECK_SUBJECT, Buffer.from('ok')).toString('base64');
    const key = 'data_key_check';
    await this.#db
      .insertInto('meta')
      .values({ key, value })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const stored = await this.#db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirstOrThrow();
    if (unseal(this.#dataKey, CHECK_SUBJECT, Buffer.from(stored.value, 'base64')) === null) {
      throw new Refusal('DATA_KEY is not the one that this database was made with: personal data could not be read');
    }
  }

  /**
   * Makes sure that the subject has a key; it is durable before this resolves. Rejects for a subject that was erased.
   */
  async ensure(subject: string): Promise<void> {
    if (this.#cache.has(subject)) return;
    // It would fail all who share its INSERT.
    if (!isStorableText(subject)) throw new RangeError('a subject cannot have a NUL or a lone surrogate');
    const error = await this.#store(subject);
    if (error !== null) throw error;
  }

  /** Encrypts any JSON value. The subject gets a key if it has none. */
  async seal(subject: string, value: unknown): Promise<Uint8Array> {
    return await this.sealBytes(subject, Buffer.from(JSON.stringify(value)));
  }

  /** The value; null where the subject's key was destroyed. Rejects where the bytes are not what was sealed. */
  async open(subject: string, sealed: Uint8Array): Promise<unknown | null> {
    const bytes = await this.openBytes(subject, sealed);
    return bytes === null ? null : JSON.parse(Buffer.from(bytes).toString());
  }

  async sealBytes(subject: string, bytes: Uint8Array): Promise<Uint8Array> {
    await this.ensure(subject);
    const key = await this.#keyOf(subject);
    if (key === null) throw erased(subject);
    return seal(key, subject, bytes);
  }

  async openBytes(subject: string, sealed: Uint8Array): Promise<Uint8Array | null> {
    const key = await this.#keyOf(subject);
    if (key === null) return null;
    const bytes = unseal(key, subject, sealed);
    if (bytes === null) throw new Error(`personal data of ${subject} is damaged or not of this subject`);
    return bytes;
  }

  /**
   * Stands for a person where they are counted: 22 characters, the same for the same text for ever and on every node, which tell nothing to
   * whoever has not DATA_KEY. (TOKEN_SECRET would not do: it is rotated, and all would be counted anew.)
   * @param text in canonical form
   */
  pseudonym(text: string): string {
    return createHmac('sha256', this.#pseudonymKey)
      .update(text)
      .digest()
      .subarray(0, PSEUDONYM_BYTES)
      .toString('base64url');
  }

  /** Destroys the key for good; durable before this resolves. Also for a subject that never had one. */
  async erase(subject: string): Promise<void> {
    try {
      await sql`
        INSERT INTO subject_key (subject, wrapped, erased_at) VALUES (${subject}, NULL, now())
        ON CONFLICT (subject) DO UPDATE SET wrapped = NULL, erased_at = coalesce(subject_key.erased_at, now())
        `.execute(this.#db);
    } finally {
      this.#erasures++;
      this.#cache.delete(subject);
    }
  }

  async #keyOf(subject: string): Promise<Buffer | null> {
    const cached = this.#cache.get(subject);
    if (cached !== undefined) return cached;
    const asOf = this.#erasures;
    const query = this.#db.selectFrom('subject_key').select('wrapped').where('subject', '=', subject);
    const wrapped = (await query.executeTakeFirst())?.wrapped ?? null;
    return wrapped === null ? null : this.#unwrap(subject, wrapped, asOf);
  }

  #unwrap(subject: string, wrapped: Uint8Array, asOf: number): Buffer {
    const key = unseal(this.#dataKey, subject, wrapped);
    if (key === null) throw new Error(`the key of ${subject} was not wrapped by this DATA_KEY`);
    if (asOf === this.#erasures) this.#cache.set(ownString(subject), key);
    return key;
  }

  async #storeAll(subjects: readonly string[]): Promise<readonly (Error | null)[]> {
    const asOf = this.#erasures;
    const stored = await this.#insert([...new Set(subjects)]);
    return subjects.map((subject) => {
      const wrapped = stored.get(subject) ?? null;
      if (wrapped === null) return erased(subject);
      try {
        this.#unwrap(subject, wrapped, asOf);
        return null;
      } catch (error) {
        return error as Error;
      }
    });
  }

  /** Returns what is stored for each: another process, or an earlier call, may have been first. */
  async #insert(subjects: readonly string[]): Promise<Map<string, Buffer | null>> {
    const rows = subjects.map((subject) => ({
      subject,
      wrapped: seal(this.#dataKey, subject, randomBytes(KEY_BYTES)),
    }));
    const inserted = await this.#db
      .insertInto('subject_key')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .returning('subject')
      .execute();
    const own = new Set(inserted.map(({ subject }) => subject));
    const stored = new Map<string, Buffer | null>();
    for (const { subject, wrapped } of rows) if (own.has(subject)) stored.set(subject, wrapped);
    if (stored.size === rows.length) return stored;
    const others = subjects.filter((subject) => !own.has(subject));
    const found = await this.#db
      .selectFrom('subject_key')
      .select(['subject', 'wrapped'])
      .where('subject', 'in', others)
      .execute();
    for (const { subject, wrapped } of found) stored.set(subject, wrapped);
    return stored;
  }
}

/** In memory of its own: a piece of the pool that `Buffer.concat` cuts from keeps 8 KB for as long as an actor keeps the piece. */
function joined(parts: readonly Uint8Array[]): Buffer {
  const all = Buffer.alloc(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function seal(key: Buffer, subject: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(subject));
  return joined([Buffer.of(FORMAT), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Null where the bytes were not sealed under this key for this subject. */
function unseal(key: Buffer, subject: string, sealed: Uint8Array): Buffer | null {
  if (sealed[0] !== FORMAT || sealed.length < 1 + NONCE_BYTES + TAG_BYTES) return null;
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(subject)).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.length - TAG_BYTES));
  try {
    return joined([plain, decipher.final()]);
  } catch {
    return null;
  }
}

function erased(subject: string): Error {
  return new Error(`subject ${subject} was erased`);
}
