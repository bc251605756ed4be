/**
 * The jobs of a node, wired: which kinds there are, what each may touch, the relay that feeds them from the outbox, and what
 * operators see of them.
 */
import type { OrderDoc } from '../actors/order-protocol.ts';
import type { PaymentProvider } from '../payments/provider.ts';
import { removeOldAnswers } from '../schema/answers.ts';
import type { EmbeddedLog } from '../schema/embedded.ts';
import { removeClosedOutbox, removeColdEvents } from '../schema/retention.ts';
import type { SubjectKeys } from '../schema/subjects.ts';
import { captureJob } from '../workers/capture-job.ts';
import { answerCleanupJob, cartCleanupJob } from '../workers/cart-cleanup-job.ts';
import { emailJob, type MailedOrder } from '../workers/email-job.ts';
import { type JobsAdmin, jobsAdmin } from '../workers/jobs-admin.ts';
import type { Mailer } from '../workers/mailer.ts';
import type { AskActor, OrderContact } from '../workers/order-jobs.ts';
import { outboxOn, startRelay } from '../workers/outbox-relay.ts';
import { openQueues } from '../workers/queues.ts';
import { retentionJob } from '../workers/retention-job.ts';
import type { Storage } from './storage.ts';

export interface JobsOptions {
  readonly storage: Storage;
  readonly redisUrl: string | null;
  readonly clusterId: string;
  readonly ask: AskActor;
  readonly provider: PaymentProvider;
  readonly subjects: SubjectKeys;
  readonly mailer: Mailer;
  /** Removes the history of a cart that has expired, at its owner (`cart-histories.ts`). */
  readonly removeCart: (cartId: string, outboxId: string) => Promise<void>;
  /** Milliseconds since the epoch by the database's clock. */
  readonly now: () => number;
  readonly log: EmbeddedLog;
}

export interface NodeJobs {
  readonly admin: JobsAdmin;
  close(): Promise<void>;
}

/** How often the outbox is looked at: an e-mail or a capture may wait this long. */
const RELAY_POLL_MS = 250;
const DAY_MS = 86_400_000;
const COLD_AFTER_MS = 7 * DAY_MS;
/** A closed row's id is remembered this long: longer than any actor repeats itself. */
const CLOSED_KEPT_MS = 30 * DAY_MS;

export async function startJobs(options: JobsOptions): Promise<NodeJobs> {
  const { storage, ask, subjects, provider, mailer, log } = options;
  const { db } = storage.database;
  const outbox = outboxOn(db);
  const queues = await openQueues({
    databaseUrl: storage.url,
    redisUrl: options.redisUrl ?? undefined,
    prefix: options.clusterId.replaceAll('.', '_'),
    log,
    failed: (outboxId, error) => outbox.markFailed(outboxId, error),
    kinds: {
      capture: captureJob({ ask, provider }),
      email: emailJob<MailedOrder & OrderDoc>({
        ask,
        mailer,
        openContact: async ({ contact }) =>
          (await subjects.open(contact.subject, contact.bytes)) as OrderContact | null,
      }),
      cart_cleanup: cartCleanupJob({ removeCart: options.removeCart }),
      answer_cleanup: answerCleanupJob({ removeOldAnswers: (limit) => removeOldAnswers(db, options.now(), limit) }),
      retention: retentionJob({
        removeColdEvents: (limit) => removeColdEvents(db, options.now() - COLD_AFTER_MS, limit),
        removeClosedOutbox: (limit) => removeClosedOutbox(db, CLOSED_KEPT_MS, limit),
      }),
    },
  });
  const relay = startRelay({ source: outbox, queues, log, pollMs: RELAY_POLL_MS });
  await queues.start();
  return {
    admin: jobsAdmin({ queues, outbox, nudge: () => relay.nudge() }),
    async close() {
      await relay.close();
      await queues.close();
      mailer.close();
    },
  };
}
