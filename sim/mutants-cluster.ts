/** Mutants of what members believe of each other: leases, watches, shards on their way, calls between nodes. */
import { ClusterMember } from '../runtime/cluster.ts';
import { LoopLease } from '../runtime/lease.ts';
import { PeerAnswers } from '../runtime/peers-answers.ts';
import { Router } from '../runtime/router.ts';
import { Watch } from '../runtime/watch.ts';
import { all, type Mutant, replaced } from './mutant.ts';

export const CLUSTER_MUTANTS: readonly Mutant[] = [
  {
    name: 'lease without an end',
    breaks: 'A member answers until it is told that it is dead. One writer: only one may answer.',
    within: 40,
    kinds: ['pause', 'pause_in_step'],
    install: () =>
      replaced(
        LoopLease.prototype,
        'holds',
        () =>
          function (this: LoopLease) {
            return this.renewals > 0;
          },
      ),
  },
  {
    name: 'taken over too soon',
    breaks:
      'A member is taken over when it has not renewed between two looks. One writer: the old one still holds its lease.',
    within: 20,
    kinds: ['pause', 'database_slow', 'answers_lost'],
    install: () => {
      const counts = new WeakMap<Watch, ReadonlyMap<string, number>>();
      const still = new WeakMap<Watch, { incarnation: string; renewals: number }[]>();
      return all(
        replaced(
          Watch.prototype,
          'look',
          (original) =>
            function (this: Watch, members, sentAt, answeredAt, renewedAt) {
              const before = counts.get(this);
              still.set(
                this,
                members.filter(({ incarnation, renewals }) => before?.get(incarnation) === renewals),
              );
              counts.set(this, new Map(members.map(({ incarnation, renewals }) => [incarnation, renewals])));
              original.call(this, members, sentAt, answeredAt, renewedAt);
            },
        ),
        replaced(
          Watch.prototype,
          'overdue',
          () =>
            function (this: Watch) {
              return still.get(this) ?? [];
            },
        ),
      );
    },
  },
  {
    name: 'gift not noticed',
    breaks: 'Who gave a shard away goes on with it until it reads the rows. One writer.',
    within: 20,
    kinds: ['leave', 'join'],
    install: () => replaced(ClusterMember.prototype, 'gave', () => () => {}),
  },
  {
    name: 'request decided twice',
    breaks: 'A request that comes again is decided again. One command has one effect.',
    within: 20,
    kinds: ['messages_lost', 'messages_doubled', 'messages_delayed'],
    install: () => {
      const seen = new WeakMap<PeerAnswers, Set<number>>();
      let more = 1e12;
      return replaced(
        PeerAnswers.prototype,
        'take',
        (original) =>
          function (this: PeerAnswers, request) {
            const known = seen.get(this) ?? new Set();
            seen.set(this, known);
            original.call(this, known.has(request.id) ? { ...request, id: more++ } : request);
            known.add(request.id);
          },
      );
    },
  },
  {
    name: 'unanswered asked again elsewhere',
    breaks:
      'A call that may have been decided is asked once more, though deciding it twice does harm. One command has one effect.',
    within: 100,
    kinds: ['messages_lost', 'leave'],
    install: () =>
      replaced(
        Router.prototype,
        'ended',
        (original) =>
          function (this: Router, errand, end) {
            original.call(this, errand, end.kind === 'unknown' && !errand.repeatable ? { kind: 'unreached' } : end);
          },
      ),
  },
];
