/**
 * A pricing thread for tests of the pool: the real one, except that it ends itself when it meets a sku CRASH (only in a batch of more than
 * 16 carts, so that a retry succeeds) or CRASH-ALWAYS, and never ends on a sku HANG or HANG-ALWAYS (likewise).
 */
import { figureBatch as figure } from './pricing-worker.ts';
import { type BatchTask, readCarts } from './wire.ts';

export function figureBatch(task: BatchTask): Float64Array {
  const carts = [...readCarts(task.carts)];
  const skus = new Set(carts.flatMap(({ lines }) => lines.map(({ sku }) => sku)));
  const first = carts.length > 16;
  if (skus.has('CRASH-ALWAYS') || (first && skus.has('CRASH'))) process.exit(1);
  while (skus.has('HANG-ALWAYS') || (first && skus.has('HANG')));
  return figure(task);
}
