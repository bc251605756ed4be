/** The command line of the agreement: `npm run test:pricing -- [carts] [first seed]`. */
import { differenceAt } from './agreement.ts';
import { randomCase } from './random-shop.ts';

const [carts = 100_000, first = 1] = process.argv.slice(2).map(Number);
for (let seed = first; seed < first + carts; seed++) {
  const difference = differenceAt(seed);
  if (difference !== null) {
    process.stdout.write(`${JSON.stringify({ seed, ...randomCase(seed), ...difference }, null, 1)}\n`);
    process.stderr.write(`The cart of seed ${seed} differs.\n`);
    process.exit(1);
  }
}
process.stdout.write(`${carts} random carts from seed ${first} on: both implementations agree on all.\n`);
