/**
 * The sandbox's test cards: what each token of the contract makes the provider do. Pure; the server carries it out.
 * A suffix `:x` sets the card's fingerprint to x, so that a test can tell its cards apart; it changes nothing else.
 */
export interface Card {
  /** null: the card authorises. Else the code of the refusal, answered with 402. */
  readonly refusal: string | null;
  /** Identifies the card across payments; null where the token carried no suffix. */
  readonly fingerprint: string | null;
  /** How often a call under one key is answered with 500, before anything happens. */
  readonly failures: number;
  /** The first answer goes out this much later than the payment is made. Milliseconds. */
  readonly answerDelayMs: number;
  /** The payment is made, and the connection is cut where its first answer should be. */
  readonly loseFirstAnswer: boolean;
  /** False: the payment cannot be found by reference until the call is repeated under its key. */
  readonly listedAtOnce: boolean;
}

type Behaviour = Omit<Card, 'fingerprint'>;

const authorises: Behaviour = {
  refusal: null,
  failures: 0,
  answerDelayMs: 0,
  loseFirstAnswer: false,
  listedAtOnce: true,
};

const behaviours: ReadonlyMap<string, Behaviour> = new Map([
  ['tok_ok', authorises],
  ['tok_declined', { ...authorises, refusal: 'card_declined' }],
  ['tok_insufficient_funds', { ...authorises, refusal: 'insufficient_funds' }],
  ['tok_timeout', { ...authorises, loseFirstAnswer: true }],
  ['tok_late', { ...authorises, loseFirstAnswer: true, listedAtOnce: false }],
  ['tok_error', { ...authorises, failures: 2 }],
  ['tok_slow', { ...authorises, answerDelayMs: 2_000 }],
  ['tok_requires_action', { ...authorises, refusal: 'requires_action_unsupported' }],
]);

/** The card behind a token. An unknown one is a card that is refused, so that a shop gets a definite answer for it. */
export function cardOf(token: string): Card {
  const colon = token.indexOf(':');
  const name = colon < 0 ? token : token.slice(0, colon);
  const suffix = colon < 0 ? '' : token.slice(colon + 1);
  const behaviour = behaviours.get(name) ?? { ...authorises, refusal: 'card_unknown' };
  return { ...behaviour, fingerprint: suffix === '' ? null : suffix };
}
