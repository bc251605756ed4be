/** What the main thread and the lease's thread say to each other (`lease.ts`, `lease-thread.ts`). */
import type pg from 'pg';

/** Places in the shared memory, each 64 bits. */
export const HEARTBEAT = 0;
/** When the last acknowledged renewal was sent; 0: none was by the thread. */
export const RENEWED_AT = 1;
export const SHARED_BYTES = 16;

export interface LeaseWork {
  readonly shared: SharedArrayBuffer;
  readonly connection: pg.ClientConfig;
  readonly incarnation: string;
  /** The heartbeat before which nothing is renewed. */
  readonly beat: bigint;
  readonly retryMs: number;
  /** How often the heartbeat is looked at. */
  readonly pollMs: number;
}

/** Times are nanoseconds of `process.hrtime.bigint`. */
export type LeaseMessage =
  | { readonly kind: 'renewed'; readonly databaseMs: number; readonly sentAt: bigint; readonly answeredAt: bigint }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'fenced' };
