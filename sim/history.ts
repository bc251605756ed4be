/**
 * What happened in one run, in one order: calls and how they ended, commits, faults, and notes of the nodes. Each thing gets the next
 * place in that order when it happens, so that "before" is a comparison of two numbers also where the clock stood still. Oracles
 * read it; a trace for people is made of it; and a digest of it says whether two runs were the same.
 */
import type { ActorRef, KeyRef } from '../runtime/actor.ts';
import type { Batch } from '../runtime/journal.ts';

/**
 * How a call ended for its caller. `lost`: no answer came while the caller still listened, or ever (its node died). As with a fault that
 * leaves it open (`leavesOpen`), the command may have taken effect, or may still.
 */
export type Outcome =
  | { readonly kind: 'reply'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly code: string }
  | { readonly kind: 'lost' };

export interface CallRecord {
  readonly number: number;
  readonly client: string;
  readonly node: string;
  readonly ref: ActorRef;
  readonly command: { readonly kind: string };
  readonly key: KeyRef | null;
  /** Attempts of one intention have one name: the first carries it, each retry repeats it. */
  readonly intent: string;
  readonly startedAt: number;
  /** Place in the order of things. */
  readonly start: number;
  endedAt: number;
  end: number | null;
  outcome: Outcome | null;
  /** The node died, or was cut off from its caller, before the answer. */
  abandoned: boolean;
}

export interface CommitRecord {
  readonly order: number;
  readonly at: number;
  readonly incarnation: string;
  readonly batch: Batch;
}

export interface Note {
  readonly order: number;
  readonly at: number;
  /** A node's name, `world`, `payments`, … */
  readonly who: string;
  readonly what: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Faults that do not say whether the command took effect (`runtime/fault.ts`), as this simulator's clients meet them. */
const OPEN_CODES: ReadonlySet<string> = new Set(['outcome_unknown', 'shard_unavailable', 'pricing_unavailable']);

/** True where only asking again tells what became of the command. */
export function leavesOpen(outcome: Outcome | null): boolean {
  if (outcome === null || outcome.kind === 'lost') return true;
  return outcome.kind === 'fault' && OPEN_CODES.has(outcome.code);
}

export class History {
  readonly calls: CallRecord[] = [];
  readonly commits: CommitRecord[] = [];
  readonly notes: Note[] = [];
  /** Called as soon as a call has ended. */
  onEnd: (call: CallRecord) => void = () => {};
  /** The true time of the simulated world, in milliseconds. */
  readonly #now: () => number;
  #order = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get length(): number {
    return this.#order;
  }

  begin(
    call: Pick<CallRecord, 'client' | 'node' | 'ref' | 'key' | 'intent'> & { readonly command: unknown },
  ): CallRecord {
    const record: CallRecord = {
      ...call,
      command: call.command as CallRecord['command'],
      number: this.calls.length,
      startedAt: this.#now(),
      start: ++this.#order,
      endedAt: Number.POSITIVE_INFINITY,
      end: null,
      outcome: null,
      abandoned: false,
    };
    this.calls.push(record);
    return record;
  }

  /** The first end counts: a late answer to a caller that has gone changes nothing. Returns whether it was the first. */
  end(call: CallRecord, outcome: Outcome): boolean {
    if (call.outcome !== null) return false;
    call.outcome = outcome;
    call.endedAt = this.#now();
    call.end = ++this.#order;
    this.onEnd(call);
    return true;
  }

  commit(incarnation: string, batch: Batch): CommitRecord {
    const record = { order: ++this.#order, at: this.#now(), incarnation, batch };
    this.commits.push(record);
    return record;
  }

  note(who: string, what: string, detail: Readonly<Record<string, unknown>> = {}): void {
    this.notes.push({ order: ++this.#order, at: this.#now(), who, what, detail });
  }

  /** 64 bits over everything that happened, in order: two runs with one digest were, byte for byte, the same. */
  digest(): string {
    const hash = new Fnv();
    const { calls, commits, notes } = this;
    for (const call of calls) {
      hash.number(call.start);
      hash.number(call.startedAt);
      hash.number(call.end ?? -1);
      hash.text(`${call.node} ${call.ref.id} ${call.command.kind}`);
      hash.text(JSON.stringify(call.outcome));
    }
    for (const { order, at, incarnation, batch } of commits) {
      hash.number(order);
      hash.number(at);
      hash.text(incarnation);
      for (const event of batch.events) {
        hash.text(event.id);
        hash.number(event.seq);
        hash.bytes(event.payload);
      }
    }
    for (const { order, at, who, what } of notes) {
      hash.number(order);
      hash.number(at);
      hash.text(`${who} ${what}`);
    }
    return hash.value;
  }

  /** One line for each thing, in order. */
  *trace(): Generator<string> {
    const lines: { readonly order: number; readonly at: number; readonly text: string }[] = [];
    for (const call of this.calls) {
      const name = `#${call.number}`;
      const key = call.key === null ? '' : ` key=${call.key.hash}`;
      const asked = `${call.client} → ${call.node}  ${name} ${shortCommand(call)}${key}`;
      lines.push({ order: call.start, at: call.startedAt, text: asked });
      if (call.end !== null) {
        const told = `${call.client} ← ${call.node}  ${name} ${shortOutcome(call.outcome)}`;
        lines.push({ order: call.end, at: call.endedAt, text: told });
      }
    }
    for (const { order, at, incarnation, batch } of this.commits) {
      const events = batch.events.map((event) => `${event.id}@${event.seq}`).join(' ');
      const more = batch.answers.length > 0 ? ` +${batch.answers.length} answers` : '';
      lines.push({ order, at, text: `commit by ${incarnation} lane ${batch.lane}: ${events}${more}` });
    }
    for (const { order, at, who, what, detail } of this.notes) {
      const rest = Object.keys(detail).length === 0 ? '' : ` ${JSON.stringify(detail)}`;
      lines.push({ order, at, text: `${who}: ${what}${rest}` });
    }
    const start = Math.min(...lines.map((line) => line.at));
    for (const { at, text } of lines.sort((a, b) => a.order - b.order)) {
      yield `${((at - start) / 1000).toFixed(3).padStart(9)} s  ${text}`;
    }
  }
}

function shortCommand({ ref, command }: CallRecord): string {
  const { kind, ...rest } = command as { kind: string } & Record<string, unknown>;
  const told = Object.entries(rest)
    .filter(([name]) => name !== 'request' && name !== 'product')
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  const { product } = rest as { product?: { sku: string } };
  if (product !== undefined) told.unshift(product.sku);
  return [`${ref.type} ${ref.id}`, kind, ...told].join(' ');
}

function shortOutcome(outcome: Outcome | null): string {
  if (outcome === null) return 'nothing';
  if (outcome.kind === 'lost') return 'no answer';
  if (outcome.kind === 'fault') return `fault ${outcome.code}`;
  const text = JSON.stringify(outcome.value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

/** FNV-1a on two 32-bit halves with different offsets: small, the same everywhere, and no more is asked of it. */
class Fnv {
  #a = 0x811c9dc5;
  #b = 0xcbf29ce4;

  #byte(byte: number): void {
    this.#a = Math.imul(this.#a ^ byte, 0x01000193);
    this.#b = Math.imul(this.#b ^ (byte + 0x5b), 0x01000193);
  }

  number(value: number): void {
    this.text(String(value));
  }

  text(value: string): void {
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      this.#byte(code & 0xff);
      this.#byte(code >>> 8);
    }
    this.#byte(0xff);
  }

  bytes(value: Uint8Array): void {
    for (const byte of value) this.#byte(byte);
    this.#byte(0xfe);
  }

  get value(): string {
    return [this.#a, this.#b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
