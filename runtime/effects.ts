/**
 * Runs what actors wait for outside of themselves: a message to another actor, or a handler of the composition root.
 * Every effect here was pending in a committed state. It is repeated under its id, with back-off, until its outcome has
 * been taken by a committed decision (`$outcome`), or the actor no longer waits for it. Nothing of this is stored: after
 * a crash the state says what is pending, and the actor's timer row sees to it that somebody looks.
 *
 * A flight (one effect of one cell at work) is `queued` (waits for a place) → `running` (an attempt is out) →
 * `delivering` (its `$outcome` is on its way to the actor's mailbox and through the gate) → over. A failed or overlong
 * attempt, and an outcome that the actor could not take, leads to `backing-off`, then to the same step again.
 */
import type { ActorRef, Effect, EffectHandler } from './actor.ts';
import { Call } from './call.ts';
import type { Cell, Flight } from './cell.ts';
import type { Clock } from './clock.ts';
import { Fifo } from './fifo.ts';
import type { Limits } from './limits.ts';
import type { Stats } from './metrics.ts';

export interface EffectsHost {
  submit(call: Call): void;
  report(event: string, detail: Readonly<Record<string, unknown>>): void;
}

/** Places for effects of one kind: one for each handler, one for sends. */
interface Places {
  readonly limit: number;
  readonly queue: Fifo<Flight>;
  taken: number;
  /** Places are being given out: whoever gives one back meanwhile leaves the next to that loop, and not to the stack. */
  pumping: boolean;
}

interface Attempt {
  readonly flight: Flight;
  readonly places: Places;
  readonly startedAt: number;
  open: boolean;
}

export class Effects {
  readonly #handlers: Readonly<Record<string, EffectHandler>>;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #stats: Stats;
  readonly #host: EffectsHost;
  readonly #sends: Places;
  readonly #calls = new Map<string, Places>();
  readonly #attempts = new Set<Attempt>();
  #state: 'running' | 'stopped' = 'running';

  constructor(
    handlers: Readonly<Record<string, EffectHandler>>,
    clock: Clock,
    limits: Limits,
    stats: Stats,
    host: EffectsHost,
  ) {
    this.#handlers = handlers;
    this.#clock = clock;
    this.#limits = limits;
    this.#stats = stats;
    this.#host = host;
    this.#sends = { limit: limits.sendsAtOnce, queue: new Fifo(), taken: 0, pumping: false };
  }

  get open(): number {
    return this.#attempts.size;
  }

  stop(): void {
    this.#state = 'stopped';
    this.#attempts.clear();
  }

  /** What the committed state waits for: each id not at work yet is issued. */
  issue(cell: Cell, pending: readonly Effect[]): void {
    if (cell.status === 'gone' || this.#state === 'stopped') return;
    for (const effect of pending) {
      if (cell.side?.flights?.has(effect.id) === true) continue;
      const flight: Flight = { cell, effect, attempts: 0, state: 'queued', again: null };
      if (!this.#queue(flight)) continue;
      const side = cell.needSide();
      side.flights ??= new Map();
      side.flights.set(effect.id, flight);
      this.#stats.effectsIssued++;
      this.#pump(this.#placesFor(effect));
    }
  }

  /**
   * What waits for its next try is tried again now, and the delays begin anew. What is at work goes on as it is, so that haste doubles
   * nothing; should it fail, its next try is soon.
   */
  hasten(cell: Cell): void {
    for (const flight of [...(cell.side?.flights?.values() ?? [])]) {
      if (flight.state === 'running') flight.attempts = 1;
      if (flight.state !== 'backing-off') continue;
      flight.attempts = 0;
      flight.again?.cancel();
      this.#retry(flight);
    }
  }

  /** Ends the wait for attempts that take too long; their late outcomes are still taken. */
  sweep(): void {
    const before = this.#clock.monotonic() - this.#limits.effectAttemptMs;
    for (const attempt of this.#attempts) {
      if (attempt.startedAt < before) this.#failed(attempt, new Error('no outcome in time'));
    }
  }

  #placesFor(effect: Effect): Places {
    if (effect.kind === 'send') return this.#sends;
    let places = this.#calls.get(effect.handler);
    if (places === undefined) {
      places = { limit: this.#limits.effectsPerHandler, queue: new Fifo(), taken: 0, pumping: false };
      this.#calls.set(effect.handler, places);
    }
    return places;
  }

  #queue(flight: Flight): boolean {
    const places = this.#placesFor(flight.effect);
    if (places.queue.length >= this.#limits.effectQueueLimit) {
      // The actor's timer row brings it back.
      this.#stats.effectsDropped++;
      return false;
    }
    flight.state = 'queued';
    places.queue.push(flight);
    return true;
  }

  #pump(places: Places): void {
    if (places.pumping) return;
    places.pumping = true;
    while (places.taken < places.limit) {
      const flight = places.queue.shift();
      if (flight === undefined) break;
      if (flight.state === 'queued' && flight.cell.status !== 'gone') this.#attempt(flight, places);
    }
    places.pumping = false;
  }

  #attempt(flight: Flight, places: Places): void {
    flight.state = 'running';
    flight.attempts++;
    places.taken++;
    const attempt: Attempt = { flight, places, startedAt: this.#clock.monotonic(), open: true };
    this.#attempts.add(attempt);
    if (flight.effect.kind === 'send') this.#send(attempt, flight.effect);
    else void this.#call(attempt, flight.effect);
  }

  #send(attempt: Attempt, effect: Effect & { kind: 'send' }): void {
    const deadline = this.#clock.monotonic() + this.#limits.effectAttemptMs;
    const done = (reply: unknown): void => this.#done(attempt, reply);
    const failed = (error: unknown): void => this.#failed(attempt, error);
    this.#host.submit(new Call(effect.to, effect.command, 'send', deadline, done, failed));
  }

  async #call(attempt: Attempt, effect: Effect & { kind: 'call' }): Promise<void> {
    const { cell } = attempt.flight;
    try {
      const handler = this.#handlers[effect.handler];
      if (handler === undefined) throw new Error(`no handler is named ${effect.handler}`);
      this.#done(attempt, await handler(effect.input, effect.id, { type: cell.type, id: cell.id }));
    } catch (error) {
      this.#failed(attempt, error);
    }
  }

  #release(attempt: Attempt): void {
    if (!attempt.open) return;
    attempt.open = false;
    attempt.places.taken--;
    this.#attempts.delete(attempt);
    this.#pump(attempt.places);
  }

  #done(attempt: Attempt, outcome: unknown): void {
    if (this.#state === 'stopped') return;
    const { flight } = attempt;
    this.#release(attempt);
    // Of several attempts under one id the first outcome counts.
    if (flight.state === 'delivering') return;
    flight.state = 'delivering';
    this.#deliver(flight, outcome, 0);
  }

  #failed(attempt: Attempt, error: unknown): void {
    if (this.#state === 'stopped' || !attempt.open) return;
    const { flight } = attempt;
    this.#release(attempt);
    if (flight.state !== 'running') return;
    if (flight.attempts === 3) {
      const { effect, cell } = flight;
      this.#host.report('effect_failing', { type: cell.type, id: cell.id, effect: effect.id, error: String(error) });
    }
    this.#again(flight);
  }

  /** Also where the cell has left memory meanwhile: the outcome is definite, and whoever has taken its place can use it. */
  #deliver(flight: Flight, outcome: unknown, failures: number): void {
    const { cell, effect } = flight;
    const command = { kind: '$outcome', effectId: effect.id, outcome } as const;
    const taken = (): void => this.#taken(flight);
    const refused = (): void => {
      if (this.#state === 'stopped') return;
      if (cell.status === 'gone') return;
      this.#stats.effectsRetried++;
      this.#clock.setTimeout(
        () => {
          if (this.#state === 'running') this.#deliver(flight, outcome, failures + 1);
        },
        this.#delayMs(flight, failures + 1),
      );
    };
    const ref: ActorRef = { type: cell.type, id: cell.id };
    this.#host.submit(new Call(ref, command, 'outcome', Number.POSITIVE_INFINITY, taken, refused));
  }

  /** The outcome's decision is durable. */
  #taken(flight: Flight): void {
    if (flight.cell.status === 'gone' || this.#state === 'stopped') return;
    if (stillPending(flight)) this.#again(flight);
    else this.#drop(flight);
  }

  #again(flight: Flight): void {
    flight.state = 'backing-off';
    this.#stats.effectsRetried++;
    flight.again = this.#clock.setTimeout(() => this.#retry(flight), this.#delayMs(flight, flight.attempts));
  }

  #retry(flight: Flight): void {
    flight.again = null;
    if (this.#state === 'stopped' || flight.state !== 'backing-off' || flight.cell.status === 'gone') return;
    if (!stillPending(flight) || !this.#queue(flight)) this.#drop(flight);
    else this.#pump(this.#placesFor(flight.effect));
  }

  #drop(flight: Flight): void {
    const { side } = flight.cell;
    if (side === null || side.flights === null) return;
    side.flights.delete(flight.effect.id);
    if (side.flights.size === 0) side.flights = null;
    flight.cell.trim();
  }

  /** Exponential, spread over the upper half by the effect's id rather than by chance, so that a run can be repeated. */
  #delayMs(flight: Flight, failures: number): number {
    const { effectRetryMinMs, effectRetryMaxMs } = this.#limits;
    const full = Math.min(effectRetryMaxMs, effectRetryMinMs * 2 ** Math.min(Math.max(0, failures - 1), 16));
    let hash = failures;
    for (let i = 0; i < flight.effect.id.length; i++) hash = (Math.imul(hash, 31) + flight.effect.id.charCodeAt(i)) | 0;
    return full / 2 + ((hash >>> 0) % 1024) * (full / 2048);
  }
}

function stillPending(flight: Flight): boolean {
  const { cell, effect } = flight;
  return cell.kind.definition.pending?.(cell.state).some((pending) => pending.id === effect.id) ?? false;
}
