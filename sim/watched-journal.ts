/**
 * A node's journal under the eyes of the oracles: what became of each append and gift whose outcome was unknown is told at the moment at
 * which it is said. It relies on `super`, so that a mutant of the journal is a mutant of this.
 */
import type { Batch, Gift } from '../runtime/journal.ts';
import { SimJournal, type SimJournalOptions } from './journal.ts';

export type Resolved = (what: Batch | Gift, outcome: 'committed' | 'void') => void;

export class WatchedJournal extends SimJournal {
  readonly #resolved: Resolved;

  constructor(options: SimJournalOptions, resolved: Resolved) {
    super(options);
    this.#resolved = resolved;
  }

  override async resolve(batch: Batch): Promise<'committed' | 'void'> {
    const outcome = await super.resolve(batch);
    this.#resolved(batch, outcome);
    return outcome;
  }

  override async resolveGift(gift: Gift): Promise<'committed' | 'void'> {
    const outcome = await super.resolveGift(gift);
    this.#resolved(gift, outcome);
    return outcome;
  }
}
