/**
 * Lets the faults of a plan happen to a world at their times, and takes all of them back when it is healed. Weather (`faults.ts`) is begun and
 * ended here; what is done once (a crash, a pause, a jump of a clock) is done here.
 */
import type { Callers } from './callers.ts';
import type { SimDatabase } from './database.ts';
import type { PlannedFault, Weather } from './faults.ts';
import type { SimNetwork } from './network.ts';
import type { SimNode } from './node.ts';
import type { Scheduler, SimProcess, Timer } from './scheduler.ts';

/** What it has power over. */
export interface Realm {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly database: SimDatabase;
  readonly network: SimNetwork;
  readonly callers: Callers;
  readonly nodes: ReadonlyMap<string, SimNode>;
  /** Those that are to be there when all is well. */
  readonly names: readonly string[];
  readonly addNode: (name: string) => SimNode;
  /** Many ask the node at once. */
  readonly crowd: (node: string, calls: number) => void;
  readonly note: (who: string, what: string, detail?: Readonly<Record<string, unknown>>) => void;
}

/** A fault in the middle of a step comes after at most so many things that a process does to the outside. */
const ACTS_MAX = 40;
const EVICT_EVERY_MS = 25;
const CROWD_MAX = 60;
const CLOCK_JUMP_MAX_MS = 60_000;

export class Fate {
  readonly #realm: Realm;
  readonly #leaving = new Set<SimNode>();
  /** Faults that have not begun, and ends that are to come. */
  readonly #planned = new Set<Timer>();
  #guests = 0;

  constructor(realm: Realm) {
    this.#realm = realm;
  }

  /** The times of the plan count from now. */
  plan(faults: readonly PlannedFault[]): void {
    for (const fault of faults) this.#plan(fault.atMs, () => this.#begin(fault));
  }

  /** Nothing goes wrong from now on, and whoever was down comes up. */
  heal(): void {
    const { scheduler, weather, database, network, nodes, names, note } = this.#realm;
    for (const timer of this.#planned) timer.cancel();
    this.#planned.clear();
    weather.clear();
    database.comeBack();
    network.comeBack();
    for (const node of nodes.values()) {
      network.mend(node.name);
      const { process } = node;
      process?.afterActs(Number.POSITIVE_INFINITY, () => {});
      if (process !== null) scheduler.goOn(process);
      if (node.clock !== null) node.clock.rate = 1;
      if (names.includes(node.name)) this.#comeAgain(node);
    }
    note('world', 'healed');
  }

  #plan(delayMs: number, run: () => void): void {
    const timer = this.#realm.scheduler.after(delayMs, null, () => {
      this.#planned.delete(timer);
      run();
    });
    this.#planned.add(timer);
  }

  #begin(fault: PlannedFault): void {
    const { kind, target, durationMs, strength, id } = fault;
    const { database, network, nodes, note, crowd } = this.#realm;
    const node = nodes.get(target);
    note('world', `fault ${kind}`, { id, target, durationMs: Math.round(durationMs), strength });
    const later = (run: () => void): void => this.#plan(durationMs, run);
    switch (kind) {
      case 'crash':
      case 'crash_in_step':
      case 'pause':
      case 'pause_in_step':
        this.#stop(node, fault);
        return;
      case 'clock_rate': {
        const clock = node?.clock ?? null;
        if (clock === null) return;
        clock.rate = 0.92 + 0.17 * strength;
        later(() => {
          clock.rate = 1;
        });
        return;
      }
      case 'clock_jump':
        database.clockOffsetMs += CLOCK_JUMP_MAX_MS * (2 * strength - 1) ** 7;
        return;
      case 'database_gone':
        database.goAway();
        later(() => database.comeBack());
        return;
      case 'bus_gone':
        network.goAway();
        later(() => network.comeBack());
        return;
      case 'evict':
        if (node !== undefined) this.#evict(node, durationMs);
        return;
      case 'crowd':
        crowd(target, Math.ceil(strength * CROWD_MAX));
        return;
      case 'join': {
        const guest = this.#realm.addNode(`guest-${++this.#guests}`);
        guest.boot();
        later(() => void this.#leave(guest));
        return;
      }
      case 'leave':
        if (node === undefined) return;
        void this.#leave(node);
        later(() => this.#comeAgain(node));
        return;
      case 'upgrade':
        if (node === undefined) return;
        node.release = 'next';
        if (strength < 0.3) this.#crash(node);
        else void this.#leave(node);
        later(() => this.#comeAgain(node));
        return;
      default:
        this.#weather(fault);
    }
  }

  #weather(fault: PlannedFault): void {
    const { network, weather } = this.#realm;
    const { kind, target } = fault;
    const cuts = kind === 'cut_in' || kind === 'cut_out';
    weather.begin(fault);
    if (cuts) network.cut(target);
    this.#plan(fault.durationMs, () => {
      weather.end(fault);
      if (cuts) network.mend(target);
    });
  }

  /** For good or for a while, at once or in the middle of a step. */
  #stop(node: SimNode | undefined, { kind, durationMs, strength }: PlannedFault): void {
    const process = node?.process ?? null;
    if (node === undefined || process === null) return;
    const stop = (): void => {
      if (node.process !== process) return;
      if (kind === 'pause' || kind === 'pause_in_step') this.#pause(process, durationMs);
      else {
        this.#crash(node);
        this.#plan(durationMs, () => node.boot());
      }
    };
    if (kind === 'crash' || kind === 'pause') stop();
    else process.afterActs(Math.ceil(strength * ACTS_MAX), stop);
  }

  /** Again and again for as long as it lasts. */
  #evict(node: SimNode, durationMs: number): void {
    node.current?.system.evictAll();
    if (durationMs > EVICT_EVERY_MS) this.#plan(EVICT_EVERY_MS, () => this.#evict(node, durationMs - EVICT_EVERY_MS));
  }

  #pause(process: SimProcess, durationMs: number): void {
    const { scheduler } = this.#realm;
    scheduler.pause(process);
    this.#plan(durationMs, () => scheduler.goOn(process));
  }

  #crash(node: SimNode): void {
    node.crash();
    this.#realm.callers.hangUp(node.name);
  }

  async #leave(node: SimNode): Promise<void> {
    this.#leaving.add(node);
    await node.end();
    this.#leaving.delete(node);
    this.#realm.note(node.name, 'has left');
    this.#realm.callers.hangUp(node.name);
  }

  /** When it has left, where it is leaving. */
  #comeAgain(node: SimNode): void {
    if (node.process === null) node.boot();
    else if (this.#leaving.has(node)) this.#plan(200, () => this.#comeAgain(node));
  }
}
