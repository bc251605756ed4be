/** For tests of what is written to the journal and read from it: values as events hold them, and the library that both sides must agree with. */
import fc from 'fast-check';
import { Packr } from 'msgpackr';

export const library = new Packr({ useRecords: false, variableMapSize: true, copyBuffers: true });

const name = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => text !== '__proto__');

/** Nested values of the kinds that events are made of, and of these kinds besides. */
export function plainValues(...besides: readonly fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> {
  return fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }),
      fc.boolean(),
      fc.constant(null),
      ...besides,
      fc.array(tie('value'), { maxLength: 20 }),
      fc.dictionary(name, tie('value'), { maxKeys: 20, noNullPrototype: true }),
    ),
  })).value;
}
