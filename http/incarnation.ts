/**
 * What lives as long as one membership: the lease, the journal under its fences, the actors. A fenced one is dropped whole, and nothing
 * of it is used again: what its actors knew may be other than what was committed since.
 *
 * States: `serving` → `fenced` (another has taken over: its actors are gone, whoever waited hears 503) or `ended` (left in order, after
 * its last append).
 */
import type { AnyActorType } from '../runtime/actor.ts';
import type { ProjectionRow } from '../runtime/journal.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import { type ActorSystem, type ActorSystemOptions, createActorSystem } from '../runtime/system.ts';
import type { Database } from '../schema/database.ts';
import { PgJournal } from '../schema/journal.ts';

import { LANES } from './storage.ts';

export interface IncarnationOptions extends Pick<ActorSystemOptions, 'clock' | 'responders' | 'handlers'> {
  readonly types: readonly AnyActorType[];
  readonly database: Database;
  /** Becomes a member, under a new incarnation each time it is called. */
  readonly join: () => Promise<ClusterMembership>;
  /** Rows of the read side, right after their commit. */
  readonly onProjection: (row: ProjectionRow) => void;
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

export interface Incarnation {
  readonly membership: ClusterMembership;
  readonly journal: PgJournal;
  readonly system: ActorSystem;
  /** Called once, when it is fenced; its actors are gone then. */
  onFenced(listener: () => void): void;
  /** Answers what was accepted, writes what was decided, leaves. Does nothing where it is fenced. */
  end(drainMs: number): Promise<void>;
}

export async function openIncarnation(options: IncarnationOptions): Promise<Incarnation> {
  const { database, report } = options;
  const membership = await options.join();
  const journal = new PgJournal({ database, incarnation: membership.incarnation, lanes: LANES });
  let state: 'serving' | 'fenced' | 'ended' = 'serving';
  const listeners: (() => void)[] = [];
  const fenced = () => {
    if (state !== 'serving') return;
    state = 'fenced';
    system.stop();
    journal.close().catch((error: unknown) => report('journal_not_closed', { error: String(error) }));
    for (const listener of listeners.splice(0)) listener();
  };
  const system = createActorSystem({
    ...options,
    journal,
    membership,
    report: (event, detail) => {
      report(event, detail);
      // An append may find out before the next renewal does.
      if (event === 'fenced') fenced();
    },
  });
  system.onProjection(options.onProjection);
  membership.onFenced(fenced);
  await system.start();
  return {
    membership,
    journal,
    system,
    onFenced(listener) {
      if (state === 'fenced') listener();
      else listeners.push(listener);
    },
    async end(drainMs) {
      if (state !== 'serving') return;
      await system.drain(drainMs);
      state = 'ended';
      await journal.close();
      await membership.leave();
    },
  };
}
