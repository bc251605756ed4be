/**
 * For the tests of the runtime: an actor type that uses everything the runtime offers, and a world (store, journal,
 * system) that can crash and come back. Its journal is `MemoryJournal`, whose `intercept` injects the faults.
 */
import assert from 'node:assert/strict';
import type { ActorRef, ActorType, Effect, EffectHandler, KeyRef, Responder, Settlement } from './actor.ts';
import type { Clock } from './clock.ts';
import { Fault, type FaultCode } from './fault.ts';
import type { ProjectionRow } from './journal.ts';
import type { Limits } from './limits.ts';
import { type Membership, soleMember } from './members.ts';
import { type Intercept, MemoryJournal, MemoryStore } from './memory.ts';
import { type ActorSystem, createActorSystem } from './system.ts';
import { SystemClock } from './system-clock.ts';

export interface ProbeState {
  ops: string[];
  open: boolean;
  alarmAt: number | null;
  rings: number;
  waits: Effect[];
  outcomes: string[];
  /** By effect id: where the outcome's answer is recorded. */
  keys: Record<string, KeyRef | undefined>;
}

export type ProbeCommand =
  | { readonly kind: 'add'; readonly op: string; readonly pad?: number }
  /** As `add`, once per op. */
  | { readonly kind: 'once'; readonly op: string }
  | { readonly kind: 'get' }
  /** Its effects are tried again now. */
  | { readonly kind: 'hasten' }
  | { readonly kind: 'refuse' }
  /** The journal refuses what this writes. */
  | { readonly kind: 'poison' }
  | { readonly kind: 'throw'; readonly where: 'decide' | 'apply' }
  /** Deferred until `open`. */
  | { readonly kind: 'when_open'; readonly op: string }
  | { readonly kind: 'open' }
  | { readonly kind: 'alarm'; readonly at: number }
  /** Starts an effect; parks the caller until its outcome where `wait` is given. */
  | { readonly kind: 'begin'; readonly effect: Effect; readonly wait?: boolean };

export type ProbeEvent =
  | { readonly kind: 'added'; readonly op: string; readonly pad?: string }
  | { readonly kind: 'opened' }
  | { readonly kind: 'alarm_set'; readonly at: number }
  | { readonly kind: 'rang' }
  | { readonly kind: 'begun'; readonly effect: Effect; readonly key: KeyRef | null }
  | { readonly kind: 'ended'; readonly effectId: string }
  | { readonly kind: 'bomb' };

export interface ProbeReply {
  readonly ok: boolean;
  readonly count: number;
  readonly ops: readonly string[];
}

const replyOf = (ops: readonly string[]): ProbeReply => ({ ok: true, count: ops.length, ops: [...ops] });

export const probe: ActorType<ProbeState, ProbeCommand, ProbeEvent, ProbeReply> = {
  type: 'probe',
  eventVersion: 1,
  initial: () => ({ ops: [], open: false, alarmAt: null, rings: 0, waits: [], outcomes: [], keys: {} }),
  decide(state, command, ctx) {
    switch (command.kind) {
      case 'add': {
        const event: ProbeEvent = { kind: 'added', op: command.op };
        const events = [command.pad === undefined ? event : { ...event, pad: 'x'.repeat(command.pad) }];
        return { events, reply: replyOf([...state.ops, command.op]) };
      }
      case 'once':
        if (state.ops.includes(command.op)) return { reply: replyOf(state.ops) };
        return { events: [{ kind: 'added', op: command.op }], reply: replyOf([...state.ops, command.op]) };
      case 'get':
        return { reply: replyOf(state.ops) };
      case 'hasten':
        return { reply: replyOf(state.ops), hasten: true };
      case 'refuse':
        return { reply: { ...replyOf(state.ops), ok: false } };
      case 'poison': {
        const events: ProbeEvent[] = [{ kind: 'added', op: 'poison' }];
        return { events, reply: replyOf(state.ops), outboxAdd: [{ id: `bad\u0000${ctx.seq}`, job: 'none', doc: {} }] };
      }
      case 'throw':
        if (command.where === 'decide') throw new Error('thrown in decide');
        return { events: [{ kind: 'added', op: 'half' }, { kind: 'bomb' }], reply: replyOf(state.ops) };
      case 'when_open':
        if (!state.open) return { defer: true };
        return { events: [{ kind: 'added', op: command.op }], reply: replyOf([...state.ops, command.op]) };
      case 'open':
        return { events: [{ kind: 'opened' }], reply: replyOf(state.ops) };
      case 'alarm':
        return { events: [{ kind: 'alarm_set', at: command.at }], reply: replyOf(state.ops) };
      case 'begin': {
        const { effect } = command;
        const known = state.waits.some(({ id }) => id === effect.id) || state.outcomes.includes(effect.id);
        const events: ProbeEvent[] = known ? [] : [{ kind: 'begun', effect, key: ctx.key ?? null }];
        return command.wait === true ? { events, park: effect.id } : { events, reply: replyOf(state.ops) };
      }
      case '$outcome': {
        const { effectId } = command;
        if (!state.waits.some(({ id }) => id === effectId)) return {};
        const settle: Settlement<ProbeReply> = {
          token: effectId,
          key: state.keys[effectId],
          reply: replyOf([...state.ops, effectId]),
        };
        return { events: [{ kind: 'ended', effectId }], settle: [settle] };
      }
      case '$wake':
        return state.alarmAt !== null && state.alarmAt <= ctx.now ? { events: [{ kind: 'rang' }] } : {};
    }
  },
  apply(state, event) {
    switch (event.kind) {
      case 'added':
        state.ops.push(event.op);
        return state;
      case 'opened':
        state.open = true;
        return state;
      case 'alarm_set':
        state.alarmAt = event.at;
        return state;
      case 'rang':
        state.alarmAt = null;
        state.rings++;
        return state;
      case 'begun':
        state.waits.push(event.effect);
        if (event.key !== null) state.keys[event.effect.id] = event.key;
        return state;
      case 'ended':
        state.waits = state.waits.filter(({ id }) => id !== event.effectId);
        state.outcomes.push(event.effectId);
        return state;
      case 'bomb':
        throw new Error('thrown in apply');
      default:
        throw new Error(`unknown event ${JSON.stringify(event)}`);
    }
  },
  snapshot: (state) => structuredClone(state),
  restore: (_id, data) => data as ProbeState,
  pending: (state) => state.waits,
  wakeAt: (state) => state.alarmAt,
  project: (id, state, _events, seq) => {
    if (state.outcomes.includes('bomb')) throw new Error('thrown in project');
    return [{ table: 'probe', key: id, version: seq, doc: { count: state.ops.length } }];
  },
};

export interface WorldOptions {
  readonly lanes?: number;
  readonly limits?: Partial<Limits>;
  readonly clock?: Clock;
  readonly membership?: Membership;
  readonly pageSize?: number;
  readonly responder?: Responder<ProbeState, ProbeReply>;
  readonly handlers?: Readonly<Record<string, EffectHandler>>;
}

export class World {
  readonly store = new MemoryStore();
  readonly reports: { readonly event: string; readonly detail: Readonly<Record<string, unknown>> }[] = [];
  readonly rows: ProjectionRow[] = [];
  journal: MemoryJournal;
  system: ActorSystem;
  readonly #options: WorldOptions;
  /** The clock's timers do not keep a process alive; a test that waits for one must. */
  readonly #alive = setInterval(() => {}, 1000);

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.journal = this.#newJournal();
    this.system = this.#newSystem();
  }

  ask(id: string, command: ProbeCommand, options: Parameters<ActorSystem['ask']>[2] = {}): Promise<ProbeReply> {
    return this.system.ask({ type: 'probe', id }, command, options) as Promise<ProbeReply>;
  }

  /** What the process had in memory is gone; a new one starts on the same store. */
  async crash(): Promise<void> {
    this.system.stop();
    this.journal = this.#newJournal();
    this.system = this.#newSystem();
    await this.system.start();
  }

  async end(): Promise<void> {
    this.system.stop();
    clearInterval(this.#alive);
    await this.journal.close();
  }

  intercept(intercept: Intercept | undefined): void {
    this.journal.intercept = intercept;
  }

  /** Holds all appends back until the returned function is called. */
  holdAppends(): { release(): void; readonly waiting: number } {
    const held: (() => void)[] = [];
    let open = false;
    this.intercept(async (_batch, commit) => {
      if (!open) await new Promise<void>((resolve) => held.push(resolve));
      commit();
    });
    const release = (): void => {
      open = true;
      for (const go of held.splice(0)) go();
    };
    return {
      release,
      get waiting() {
        return held.length;
      },
    };
  }

  stored(id: string): { seqs: number[]; timerDue: number | null; snapshotSeq: number | null } {
    const actor = this.store.actors.get(`probe\u0000${id}`);
    return {
      seqs: actor?.events.map((row) => row.seq) ?? [],
      timerDue: actor?.timer?.due ?? null,
      snapshotSeq: actor?.snapshot?.seq ?? null,
    };
  }

  #newJournal(): MemoryJournal {
    const { lanes = 1, pageSize = 500 } = this.#options;
    return new MemoryJournal({ lanes, store: this.store, pageSize });
  }

  #newSystem(): ActorSystem {
    const {
      clock = new SystemClock(),
      membership = soleMember(),
      responder,
      handlers = {},
      limits = {},
    } = this.#options;
    const system = createActorSystem({
      types: [probe],
      journal: this.journal,
      clock,
      membership,
      handlers,
      limits,
      responders: responder === undefined ? {} : { probe: responder },
      report: (event, detail) => this.reports.push({ event, detail }),
    });
    system.onProjection((row) => this.rows.push(row));
    return system;
  }
}

/** A world for the length of one test. */
export async function inWorld(options: WorldOptions, body: (world: World) => Promise<void>): Promise<void> {
  const world = new World(options);
  await world.system.start();
  try {
    await body(world);
  } finally {
    await world.end();
  }
}

/** Waits for the condition; fails after five seconds. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > end) assert.fail(`${what} did not come true`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Lets everything run that needs no timer. */
export async function settle(turns = 5): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

export async function faultOf(promise: Promise<unknown>): Promise<FaultCode> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof Fault, String(error));
    return error.code;
  }
  return assert.fail('expected a fault');
}

export const keyOf = (hash: string, fingerprint = 'same request'): KeyRef => ({ hash, fingerprint });
export const callEffect = (id: string): Effect => ({ id, kind: 'call', handler: 'work', input: null });
export const sendEffect = (id: string, to: string): Effect => ({
  id,
  kind: 'send',
  to: { type: 'probe', id: to } satisfies ActorRef,
  command: { kind: 'once', op: id } satisfies ProbeCommand,
});
