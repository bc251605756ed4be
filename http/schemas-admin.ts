/** What operators send and see of stock and jobs. */
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
