/**
 * Idempotency of operators' writes that belong to no actor: the answer is kept in the same transaction as the write, under the
 * path of the call. Such an answer is small and holds no personal data.
 */
import { Packr } from 'msgpackr';
import type { AnswerRow } from '../runtime/journal.ts';
import type { AdminAnswers } from './app.ts';
import { replayed } from './cart-view.ts';
import { problem } from './problem.ts';
import type { EdgeReply } from './reply.ts';
import type { EdgeRequest } from './route.ts';

/** Type of these answers; their id is the path of the call. */
export const ADMIN_ANSWER = 'admin';
const packr = new Packr({ useRecords: false });

/** The answer that the request's key already has, or null where the call is to be done. */
export async function earlierAnswer(answers: AdminAnswers, request: EdgeRequest): Promise<EdgeReply | null> {
  const { key, path } = request;
  if (key === undefined) return null;
  const found = await answers.find(path, key.hash);
  if (found === null) return null;
  if (found.fingerprint !== key.fingerprint) return problem('idempotency_key_reused');
  return replayed(packr.unpack(found.payload as Buffer) as EdgeReply);
}

/** The row to write beside the change; undefined for a call without a key. @param at milliseconds since the epoch */
export function answerRow(request: EdgeRequest, reply: EdgeReply, at: number): AnswerRow | undefined {
  const { key, path } = request;
  if (key === undefined) return undefined;
  const { hash: keyHash, fingerprint } = key;
  return { type: ADMIN_ANSWER, id: path, keyHash, fingerprint, payload: packr.pack(reply), at };
}
