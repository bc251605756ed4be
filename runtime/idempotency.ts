/**
 * Keys of callers: each actor's table of the keys under which an answer was recorded, and the way to those answers.
 *
 * The table says only that a key is known (its hash, the sequence of the row that recorded it, and when), so that an idle
 * actor stays small; the answer's bytes are in the journal. A known key is answered with what was recorded, once all that
 * was decided before the look-up is durable.
 */
import { LRUCache } from 'lru-cache';
import type { ActorRef, Responder } from './actor.ts';
import type { Call } from './call.ts';
import { decode } from './codec.ts';
import { Fault } from './fault.ts';
import { Fifo } from './fifo.ts';
import type { Journal, RecordedAnswer } from './journal.ts';
import type { Limits } from './limits.ts';
import type { Stats } from './metrics.ts';

interface Mark {
  readonly seq: number;
  /** Seconds since the epoch: small enough to be kept without a box. */
  readonly atSeconds: number;
}

const MINUTE_MS = 60_000;
const NO_KEYS: readonly never[] = [];
/** Items of the flat form above which a map takes over: 16 keys. */
const FLAT_ITEMS = 48;

/** The bounds that hold for one actor: its type's own, or the system's. */
export interface KeyBounds {
  readonly kept: number;
  readonly perMinute: number;
}

/**
 * The keys of one actor, oldest first. A few are kept in one flat array (hash, sequence, seconds; 64 bytes a key with its
 * string), since most carts have only a few and a map with its marks costs three times that; many are kept in a map.
 */
export class KeyTable {
  #flat: readonly (string | number)[] = NO_KEYS;
  #marks: Map<string, Mark> | null = null;
  /** The minute since the epoch in which keys were last taken, and how many were. */
  #minute = 0;
  #takenInMinute = 0;

  get size(): number {
    return this.#marks?.size ?? this.#flat.length / 3;
  }

  has(hash: string): boolean {
    if (this.#marks !== null) return this.#marks.has(hash);
    for (let i = 0; i < this.#flat.length; i += 3) if (this.#flat[i] === hash) return true;
    return false;
  }

  /** Forgets keys older than `ttlMs`; the oldest come first, so this costs what it forgets. */
  forget(now: number, ttlMs: number): void {
    const before = Math.floor((now - ttlMs) / 1000);
    if (this.#marks !== null) {
      for (const [hash, mark] of this.#marks) {
        if (mark.atSeconds >= before) return;
        this.#marks.delete(hash);
      }
      return;
    }
    let first = 0;
    while (first < this.#flat.length && Number(this.#flat[first + 2]) < before) first += 3;
    if (first > 0) this.#flat = this.#flat.slice(first);
  }

  /** Why no further key is taken now, if so. */
  refusal(now: number, bounds: KeyBounds): Fault | null {
    if (this.size >= bounds.kept) {
      return new Fault('idempotency_full', `this actor keeps ${bounds.kept} keys already`, { retryAfterMs: MINUTE_MS });
    }
    if (Math.floor(now / MINUTE_MS) === this.#minute && this.#takenInMinute >= bounds.perMinute) {
      const retryAfterMs = MINUTE_MS - (now % MINUTE_MS);
      return new Fault('idempotency_full', `more than ${bounds.perMinute} keyed writes a minute`, { retryAfterMs });
    }
    return null;
  }

  /** A key taken by a decision just now. */
  take(hash: string, seq: number, now: number): void {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#takenInMinute = 0;
    }
    this.#takenInMinute++;
    this.restore(hash, seq, now);
  }

  /** A key found in the history. */
  restore(hash: string, seq: number, at: number): void {
    const atSeconds = Math.floor(at / 1000);
    if (this.#marks === null && this.#flat.length >= FLAT_ITEMS) this.#useMap();
    if (this.#marks !== null) {
      this.#marks.delete(hash);
      this.#marks.set(hash, { seq, atSeconds });
      return;
    }
    const others = this.has(hash) ? this.#without(hash) : this.#flat;
    // `concat` makes an array of just this size, where `push` would leave room for 16 more.
    this.#flat = others.concat([hash, seq, atSeconds]);
  }

  /** For a snapshot: hash, sequence and time (milliseconds) of each key, oldest first, one after the other. */
  toArray(): (string | number)[] {
    if (this.#marks === null) return this.#flat.map((item, i) => (i % 3 === 2 ? Number(item) * 1000 : item));
    const flat: (string | number)[] = [];
    for (const [hash, mark] of this.#marks) flat.push(hash, mark.seq, mark.atSeconds * 1000);
    return flat;
  }

  /** Null where there are no keys. Throws on anything but what `toArray` makes. */
  static fromArray(flat: readonly unknown[]): KeyTable | null {
    if (flat.length === 0) return null;
    const table = new KeyTable();
    for (let i = 0; i < flat.length; i += 3) {
      const [hash, seq, at] = [flat[i], flat[i + 1], flat[i + 2]];
      if (typeof hash !== 'string' || typeof seq !== 'number' || typeof at !== 'number')
        throw new Error('bad key table');
      table.restore(hash, seq, at);
    }
    return table;
  }

  #without(hash: string): readonly (string | number)[] {
    const at = this.#flat.indexOf(hash);
    return this.#flat.filter((_, i) => i < at || i >= at + 3);
  }

  #useMap(): void {
    this.#marks = new Map();
    for (let i = 0; i < this.#flat.length; i += 3) {
      this.#marks.set(String(this.#flat[i]), { seq: Number(this.#flat[i + 1]), atSeconds: Number(this.#flat[i + 2]) });
    }
    this.#flat = NO_KEYS;
  }
}

export interface AnswersOptions {
  readonly journal: Journal;
  readonly limits: Limits;
  readonly stats: Stats;
  readonly responder: (type: string) => Responder | undefined;
  readonly answer: (call: Call, value: unknown) => void;
  readonly fail: (call: Call, fault: Fault) => void;
}

interface Fetch {
  readonly name: string;
  readonly ref: ActorRef;
  readonly hash: string;
  readonly calls: Call[];
}

/** Recorded answers: a bounded cache of recent ones before the journal, one look-up for all who ask for the same. */
export class Answers {
  readonly #options: AnswersOptions;
  readonly #recent: LRUCache<string, RecordedAnswer>;
  readonly #fetches = new Map<string, Fetch>();
  readonly #queue = new Fifo<Fetch>();
  #fetching = 0;

  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#recent = new LRUCache({
      maxSize: options.limits.answerCacheBytes,
      sizeCalculation: (answer, name) => answer.payload.length + 2 * name.length + 200,
    });
  }

  /** An answer that has just become durable. */
  remember(ref: ActorRef, hash: string, answer: RecordedAnswer): void {
    this.#keep(nameOf(ref, hash), answer);
  }

  /** Its bytes may be a view of a larger block, of the encoder's or the driver's, which is not kept for it. */
  #keep(name: string, { fingerprint, payload }: RecordedAnswer): void {
    this.#recent.set(name, { fingerprint, payload: new Uint8Array(payload) });
  }

  /** Another member may record answers in the place of those kept in memory. */
  forget(): void {
    this.#recent.clear();
  }

  /** Answers a call whose key is known. */
  replay(call: Call): void {
    if (call.key === undefined) return;
    const name = nameOf(call.ref, call.key.hash);
    const recent = this.#recent.get(name);
    if (recent !== undefined) {
      this.#finish(call, recent);
      return;
    }
    const running = this.#fetches.get(name);
    if (running !== undefined) {
      running.calls.push(call);
      return;
    }
    const fetch: Fetch = { name, ref: call.ref, hash: call.key.hash, calls: [call] };
    this.#fetches.set(name, fetch);
    this.#queue.push(fetch);
    this.#pump();
  }

  #pump(): void {
    while (this.#fetching < this.#options.limits.answerFetches) {
      const fetch = this.#queue.shift();
      if (fetch === undefined) return;
      this.#fetching++;
      void this.#fetch(fetch);
    }
  }

  async #fetch(fetch: Fetch): Promise<void> {
    let fault: Fault | null = null;
    let found: RecordedAnswer | null = null;
    try {
      found = await this.#options.journal.answer(fetch.ref, fetch.hash);
      if (found === null) fault = new Fault('internal', 'the recorded answer is gone', { retryable: false });
    } catch (cause) {
      fault = new Fault('database_unavailable', 'the recorded answer could not be read', { cause });
    }
    this.#fetching--;
    this.#fetches.delete(fetch.name);
    if (found !== null) this.#keep(fetch.name, found);
    for (const call of fetch.calls) {
      if (found !== null) this.#finish(call, found);
      else if (fault !== null) this.#options.fail(call, fault);
    }
    this.#pump();
  }

  #finish(call: Call, recorded: RecordedAnswer): void {
    const { responder, answer, fail, stats } = this.#options;
    if (recorded.fingerprint !== call.key?.fingerprint) {
      fail(call, new Fault('idempotency_key_reused', 'this key came with another request', { retryable: false }));
      return;
    }
    try {
      const own = responder(call.ref.type);
      const value =
        call.render && own !== undefined ? own.replay(call.ref, recorded.payload) : decode(recorded.payload);
      stats.replayedAnswers++;
      answer(call, value);
    } catch (cause) {
      fail(call, new Fault('internal', 'the recorded answer cannot be read', { retryable: false, cause }));
    }
  }
}

function nameOf(ref: ActorRef, hash: string): string {
  return `${ref.type}:${ref.id}:${hash}`;
}
