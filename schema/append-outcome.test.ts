import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import pg from 'pg';
import { outcomeOfSent } from './append-outcome.ts';

function reported(code: string, severity = 'ERROR'): pg.DatabaseError {
  const error = new pg.DatabaseError('said the server', 0, 'error');
  error.code = code;
  error.severity = severity;
  return error;
}

describe('the outcome of an append that was sent', () => {
  const outcomes = {
    ST001: 'fenced',
    ST002: 'refused',
    '21000': 'refused', // one row twice in an upsert
    '22021': 'refused', // bytes that are no text
    '22P05': 'refused', // a NUL within JSON
    '23505': 'refused', // a sequence twice
    '23514': 'refused', // stock that does not add up
    '54000': 'refused', // too large
    XX000: 'refused', // an allocation beyond the server's limit
    '25006': 'unavailable', // a standby
    '40001': 'unavailable',
    '40P01': 'unavailable', // a deadlock
    '42501': 'unavailable', // a right is missing
    '42883': 'unavailable', // the function is missing
    '53100': 'unavailable', // the disk is full
    '53200': 'unavailable', // out of memory
    '55P03': 'unavailable', // a lock was not to be had
    '57014': 'unavailable', // cancelled by its time-out
  } as const;
  for (const [code, outcome] of Object.entries(outcomes)) {
    it(`is ${outcome} after an ERROR of SQLSTATE ${code}`, () => {
      assert.equal(outcomeOfSent(reported(code)).outcome, outcome);
    });
  }

  it('is unknown where the backend was going away, in whatever language it says so', () => {
    for (const code of ['57P01', '57P02', '57P03', '57P05', '08006', '25P03', 'XX000']) {
      assert.equal(outcomeOfSent(reported(code, 'FATAL')).outcome, 'unknown', code);
    }
    assert.equal(outcomeOfSent(reported('57P01', 'SCHWERWIEGEND')).outcome, 'unknown');
  });

  it('is unknown where the server said nothing', () => {
    const error = new Error('Connection terminated unexpectedly');
    assert.equal(outcomeOfSent(error).outcome, 'unknown');
    assert.equal(outcomeOfSent(error).cause, error);
  });
});
