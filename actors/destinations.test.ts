import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { sharedDestination } from './destinations.ts';

const part = fc.option(fc.constantFrom('', 'TX', '7', 'undefined', 'a/b'), { nil: undefined });
const place = fc
  .record({ country: fc.constantFrom('US', 'US/', 'DE'), region: part, postalCode: part })
  .map(({ country, region, postalCode }) => ({
    country,
    ...(region === undefined ? {} : { region }),
    ...(postalCode === undefined ? {} : { postalCode }),
  }));

it('a place is the place that was asked for, whatever was asked for before', () => {
  fc.assert(
    fc.property(fc.array(place, { maxLength: 50 }), (places) => {
      for (const one of places) assert.deepEqual(sharedDestination(one), one);
    }),
  );
});

it('carts that go to one place share it, and none is kept for ever', () => {
  const first = sharedDestination({ country: 'US', region: 'TX', postalCode: '73301' });
  assert.equal(sharedDestination({ country: 'US', region: 'TX', postalCode: '73301' }), first);
  for (let i = 0; i < 10_000; i++) sharedDestination({ country: 'FR', postalCode: String(i) });
  assert.notEqual(sharedDestination({ country: 'US', region: 'TX', postalCode: '73301' }), first);
  assert.equal(sharedDestination(null), null);
});
