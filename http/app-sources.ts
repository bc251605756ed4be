/**
 * The parts of `App` that are queries on the database, with its absence told as 503: an edge that cannot read says so, and is not broken.
 */
import type { Kysely } from 'kysely';
import { findAnswer, insertAnswer } from '../schema/answers.ts';
import { getAudit, listAudit } from '../schema/audit.ts';
import { listOrders, listPayments } from '../schema/read-side.ts';
import type { SubjectKeys } from '../schema/subjects.ts';
import type { Tables } from '../schema/tables.ts';
import { ADMIN_ANSWER } from './admin-answers.ts';
import type { AdminAnswers, ReadSide, Subjects } from './app.ts';
import { faulting } from './database-fault.ts';

export function readSideOf(db: Kysely<Tables>): ReadSide {
  return {
    listOrders: faulting((query) => listOrders(db, query)),
    listPayments: faulting((query) => listPayments(db, query)),
    listAudit: faulting((query) => listAudit(db, query)),
    getAudit: faulting((id) => getAudit(db, id)),
  };
}

export function adminAnswersOf(db: Kysely<Tables>): AdminAnswers {
  return {
    find: faulting((scope, keyHash) => findAnswer(db, { type: ADMIN_ANSWER, id: scope }, keyHash)),
    record: faulting((row) => insertAnswer(db, row)),
  };
}

export function subjectsOf(keys: SubjectKeys): Subjects {
  return {
    ensure: faulting((subject) => keys.ensure(subject)),
    seal: faulting((subject, value) => keys.seal(subject, value)),
    open: faulting((subject, bytes) => keys.open(subject, bytes)),
    pseudonym: (text) => keys.pseudonym(text),
  };
}
