/**
 * What a mutant is: a deliberate bug that is put into the running code from outside, by replacing a method of one of its classes or a function of an
 * actor type, and taken out again after the run. The product knows nothing of it. A simulator that does not catch a mutant is not good
 * enough to say that the real code has no such bug.
 */
import type { AnyActorType } from '../runtime/actor.ts';
import type { Kind } from '../runtime/cell.ts';
import { Residents } from '../runtime/residents.ts';
import type { FaultKind } from './faults.ts';

export type Undo = () => void;

export interface Mutant {
  readonly name: string;
  /** What it does wrong, and which promise that breaks. */
  readonly breaks: string;
  /**
   * It is caught in the first so many seeds; null: nothing that the simulator does has shown it yet. What a seed draws changes with every change of
   * the code that it runs, so this is no count but a bound with room: several times what it took from any of a few places to count from.
   */
  readonly within: number | null;
  /** Only faults of these kinds are drawn. Default: all. */
  readonly kinds?: readonly FaultKind[];
  /** Puts it in; of all worlds that are made from now on. */
  install(): Undo;
}

/** Replaces a method of a class by one that is made of it. */
export function replaced<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  make: (original: T[K]) => T[K],
): Undo {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  if (descriptor === undefined) throw new Error(`there is no ${String(name)} to replace`);
  const original = prototype[name];
  Object.defineProperty(prototype, name, { ...descriptor, value: make(original) });
  return () => void Object.defineProperty(prototype, name, descriptor);
}

/**
 * Replaces functions of an actor type in the systems that run from now on. The oracles have a type of their own, which stays as it is: what the
 * mutant writes is judged by what its events say.
 */
export function redefined(type: string, change: (definition: AnyActorType) => Partial<AnyActorType>): Undo {
  const done = new WeakSet<Kind>();
  return replaced(
    Residents.prototype,
    'bringIn',
    (original) =>
      function (this: Residents, kind, id, shard, fresh) {
        if (kind.definition.type === type && !done.has(kind)) {
          done.add(kind);
          const { definition } = kind;
          Object.assign(kind, { definition: { ...definition, ...change(definition) } });
        }
        return original.call(this, kind, id, shard, fresh);
      },
  );
}

export function all(...undos: readonly Undo[]): Undo {
  return () => {
    for (const undo of [...undos].reverse()) undo();
  };
}
