/**
 * The next release of each actor type, for upgrades while the shop is open: it says in its events *when* where the present one says *at*, and wraps
 * its snapshots. It reads both, writes the present version as long as a member lives that knows no other, and never the other way round.
 */
import type { AnyActorType, Decision } from '../runtime/actor.ts';

type Event = Readonly<Record<string, unknown>>;

function isRaised(event: Event): boolean {
  return 'when' in event;
}

function raised(event: Event): Event {
  if (!('at' in event)) return event;
  const { at, ...rest } = event;
  return { ...rest, when: at };
}

function lowered(event: Event): Event {
  if (!isRaised(event)) return event;
  const { when, ...rest } = event;
  return { ...rest, at: when };
}

export function nextRelease(type: AnyActorType): AnyActorType {
  const { decide, apply, snapshot, restore, project } = type;
  const version = type.eventVersion + 1;
  return {
    ...type,
    eventVersion: version,
    decide: (state, command, ctx): Decision<unknown, unknown> => {
      const decision: Decision<unknown, unknown> = decide(state, command, ctx);
      const { events } = decision;
      return events === undefined ? decision : { ...decision, events: events.map((event) => raised(event as Event)) };
    },
    apply: (state, event, written, seq) =>
      written < version ? apply(state, event, written, seq) : apply(state, lowered(event), type.eventVersion, seq),
    downgrade: (event) => lowered(event as Event),
    snapshot: (state) => ({ next: snapshot(state) }),
    restore: (id, data) => restore(id, isWrapped(data) ? data.next : data),
    ...(project === undefined
      ? {}
      : {
          project: (id, state, events, seq) =>
            project(
              id,
              state,
              events.map((event) => lowered(event as Event)),
              seq,
            ),
        }),
  };
}

function isWrapped(data: unknown): data is { readonly next: unknown } {
  return typeof data === 'object' && data !== null && 'next' in data;
}
