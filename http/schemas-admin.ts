/** What operators send and see of stock, of the uses of coupons, of jobs, and of what they did. */
import Type from 'typebox';
import { closed, filterText, listOf, listQuery, Nullable, PathWord, sinceTime, Timestamp, text } from './schemas.ts';

export const ADJUSTMENT_MAX = 1_000_000_000;

export const StockLevel = Type.Object(
  {
    sku: Type.String(),
    onHand: Type.Integer({ minimum: 0 }),
    held: Type.Integer({ minimum: 0 }),
    allocated: Type.Integer({ minimum: 0 }),
    available: Type.Integer({ minimum: 0 }),
    version: Type.Integer({ minimum: 0 }),
  },
  { $id: 'StockLevel', description: '`onHand = held + allocated + available`.' },
);

export const StockAdjustmentInput = closed({
  delta: Type.Integer({
    minimum: -ADJUSTMENT_MAX,
    maximum: ADJUSTMENT_MAX,
    description: 'Units added to (or, below 0, taken from) the stock on hand.',
  }),
  reason: text(200),
});

const uses = (description: string) => Nullable(Type.Integer({ minimum: 0, description }));

export const CouponUsage = Type.Object(
  {
    code: Type.String(),
    limit: Nullable(Type.Integer({ minimum: 1, description: 'Orders in all; null: no limit.' })),
    limitPerCustomer: Nullable(Type.Integer({ minimum: 1, description: 'Orders of one customer; null: no limit.' })),
    held: uses('By orders whose checkout is under way.'),
    used: uses('By confirmed orders that were not cancelled.'),
    taken: uses('`held + used`.'),
    remaining: uses('`limit - taken`; 0 also where the limit was lowered below what is taken.'),
  },
  {
    $id: 'CouponUsage',
    description: 'In all orders. Without a limit in all nothing is counted, and these four are null.',
  },
);
export const CouponParams = Type.Object({ code: PathWord });

export const Job = Type.Object(
  {
    id: Type.String(),
    job: Type.String(),
    state: Type.Enum(['open', 'failed', 'done']),
    phase: Type.Enum(['waiting', 'active', 'delayed', 'failed', 'completed']),
    attempts: Type.Integer({ minimum: 0 }),
    error: Nullable(Type.String({ description: 'What the last attempt ended with.' })),
    subject: Nullable(Type.String({ description: 'The order or cart that it is about.' })),
    createdAt: Timestamp,
    updatedAt: Nullable(Timestamp),
  },
  { $id: 'Job' },
);
export const JobParams = Type.Object({ id: PathWord });
export const JobList = listOf(Job);
export const JobListQuery = closed({
  state: Type.Optional(Type.Enum(['open', 'failed', 'done'])),
  job: Type.Optional(text(64)),
  sort: Type.Optional(Type.Enum(['-createdAt'], { description: 'Newest first.' })),
  ...listQuery,
});

const changed = (description: string) => Type.Optional(Type.Unknown({ description }));

export const AuditEntry = Type.Object(
  {
    id: Type.String(),
    at: Timestamp,
    actor: Type.String({ description: 'By which credential.' }),
    operation: Type.String({
      description:
        'Of a call: its `operationId` in this document. Of a change of rules: `<kind>.write` or `<kind>.import`.',
    }),
    target: Type.String({ description: 'The path that was called, or kind and id of the rule that was changed.' }),
    status: Type.Optional(Type.Integer({ description: 'Of a call: how it was answered.' })),
    clientIp: Type.Optional(Type.String({ description: 'Of a call: from where.' })),
    version: Type.Optional(
      Type.Integer({ description: 'Of a change of rules: the version of the price book that it made.' }),
    ),
    before: changed('What differs, as it was; null: it was created. Not in lists.'),
    after: changed('What differs, as it is since; null: it was removed. Not in lists.'),
  },
  { $id: 'AuditEntry' },
);
export const AuditParams = Type.Object({ id: PathWord });
export const AuditList = listOf(AuditEntry);
export const AuditListQuery = closed({
  actor: Type.Optional(filterText(200, 'Only what this one did.')),
  target: Type.Optional(
    filterText(2_000, 'Only what was done to this: a path, or `<kind>/<id>` such as `coupon/TEN`.'),
  ),
  since: Type.Optional(sinceTime('RFC 3339: done at or after this time.')),
  sort: Type.Optional(Type.Enum(['-at'], { description: 'Newest first.' })),
  ...listQuery,
});
