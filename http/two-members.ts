/**
 * For tests: an actor system that is two members on one store in memory, each with every other shard, and the real way between them
 * over a bus in memory. The first is what callers see, so half of their calls, and half of what actors say to each other, cross the bus.
 */
import type { ShardOwner } from '../runtime/members.ts';
import { MemoryJournal } from '../runtime/memory.ts';
import { MemoryNetwork } from '../runtime/memory-bus.ts';
import type { Remote, Serve } from '../runtime/remote.ts';
import { Router } from '../runtime/router.ts';
import { type ActorSystem, type ActorSystemOptions, createActorSystem } from '../runtime/system.ts';

/** What crossed the bus: as it was said, and as it was heard. */
export interface Crossed {
  readonly type: string;
  readonly said: { readonly command: unknown; answer?: unknown };
  readonly heard: { command?: unknown; answer?: unknown };
}

export interface TwoMembers {
  readonly system: ActorSystem;
  readonly crossed: readonly Crossed[];
}

export function twoMembers(options: ActorSystemOptions & { readonly journal: MemoryJournal }): TwoMembers {
  const network = new MemoryNetwork({ clock: options.clock });
  const incarnations = ['first.1', 'second.1'] as const;
  const overhearing = new Overhearing();
  const members = incarnations.map((incarnation, index) => {
    const owns = (shard: number): boolean => shard % 2 === index;
    const ownerOf = (shard: number): ShardOwner => ({ incarnation: incarnations[shard % 2] ?? incarnation, epoch: 1 });
    const membership = {
      incarnation,
      nodeId: incarnation,
      owns,
      epoch: () => 1,
      mayAnswer: () => true,
      writes: (_type: string, newest: number) => newest,
    };
    const shards = { ownerOf, hint: () => {}, onMoved: () => {} };
    const router = new Router({ bus: network.bus(incarnation), clock: options.clock, membership, shards });
    const journal = index === 0 ? options.journal : beside(options.journal);
    const system = createActorSystem({ ...options, journal, membership, remote: overhearing.remote(router) });
    return { system, router };
  });
  const [first, second] = members as [(typeof members)[number], (typeof members)[number]];
  const system: ActorSystem = {
    ask: (ref, command, asked) => first.system.ask(ref, command, asked),
    submit: (...call) => first.system.submit(...call),
    serve: (call) => first.system.serve(call),
    give: (shards, to, timeoutMs) => first.system.give(shards, to, timeoutMs),
    moved: (shards) => first.system.moved(shards),
    inspect: (ref) => first.system.inspect(ref) ?? second.system.inspect(ref),
    quarantined: () => members.flatMap((member) => member.system.quarantined()),
    fence() {
      for (const member of members) member.system.fence();
    },
    stop() {
      for (const member of members) member.system.stop();
    },
    onProjection(listener) {
      for (const member of members) member.system.onProjection(listener);
    },
    async start() {
      for (const { router, system } of members) {
        await system.start();
        await router.listen(overhearing.serve(system));
      }
    },
    async drain(timeoutMs) {
      await first.system.drain(timeoutMs);
      await second.system.drain(timeoutMs);
      for (const { router } of members) router.close();
    },
    evictAll: () => members.reduce((sum, member) => sum + member.system.evictAll(), 0),
    get stats() {
      return first.system.stats;
    },
  };
  return { system, crossed: overhearing.crossed };
}

/** The other member's: the same store, and whatever a test has come between. */
function beside(journal: MemoryJournal): MemoryJournal {
  return new MemoryJournal({
    lanes: journal.lanes,
    store: journal.store,
    intercept: (batch, commit) => (journal.intercept === undefined ? commit() : journal.intercept(batch, commit)),
  });
}

/** Notes what goes in at one end of the way and what comes out at the other. Calls of one actor are told apart by their order. */
class Overhearing {
  readonly crossed: Crossed[] = [];
  readonly #unheard = new Map<string, Crossed[]>();

  remote(router: Router): Remote {
    return {
      forward: (call) => {
        const entry: Crossed = { type: call.ref.type, said: { command: call.command }, heard: {} };
        this.crossed.push(entry);
        const name = `${call.ref.type} ${call.ref.id}`;
        this.#unheard.set(name, [...(this.#unheard.get(name) ?? []), entry]);
        const { ref, shard, command, key, render, deadline, repeatable } = call;
        router.forward({
          ref,
          shard,
          command,
          key,
          render,
          deadline,
          repeatable,
          resolve(value) {
            entry.heard.answer = value;
            call.resolve(value);
          },
          reject: (fault) => call.reject(fault),
          home: (begun) => call.home(begun),
        });
      },
    };
  }

  serve(system: ActorSystem): Serve {
    return async (call) => {
      const entry = this.#unheard.get(`${call.ref.type} ${call.ref.id}`)?.shift();
      if (entry !== undefined) entry.heard.command = call.command;
      const answer = await system.serve(call);
      if (entry !== undefined) entry.said.answer = answer;
      return answer;
    };
  }
}
