/** What operators send and see of stock, of the uses of coupons, and of jobs. */
import Type from 'typebox';
import { closed, listOf, listQuery, Nullable, PathWord, Timestamp, text } from './schemas.ts';

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
