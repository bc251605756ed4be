/**
 * Peer: Vendure, from a folder where npm has installed it, in production mode on the PostgreSQL that everything else is measured on: its own dummy payment,
 * jobs in the database, one product with plenty of stock and one that is scarce. Arguments: the folder, the database as JSON, units of the scarce one,
 * connections of its pool, `populate` or `serve`. Serving, it tells its port.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { freePort } from '../shop-process.ts';

const [, , folder = '', database = '{}', units = '0', pool = '10', task = 'serve'] = process.argv;
// It writes a folder of its own where it runs.
process.chdir(folder);
const load = createRequire(join(folder, 'package.json'));
const { bootstrap, DefaultJobQueuePlugin, DefaultLogger, dummyPaymentHandler, LogLevel } = load('@vendure/core');

const port = await freePort();
const config = {
  apiOptions: { port, hostname: '127.0.0.1', adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
  authOptions: {
    tokenMethod: ['bearer'],
    superadminCredentials: { identifier: 'operator', password: 'bench-operator-1' },
  },
  dbConnectionOptions: {
    type: 'postgres',
    synchronize: task === 'populate',
    logging: false,
    extra: { max: Number(pool) },
    ...JSON.parse(database),
  },
  paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
  importExportOptions: { importAssetsDir: folder },
  plugins: [DefaultJobQueuePlugin.init({})],
  logger: new DefaultLogger({ level: LogLevel.Error }),
};

if (task === 'populate') {
  const { populate } = load('@vendure/core/cli');
  const products = join(folder, 'products.csv');
  writeFileSync(
    products,
    `name,slug,description,assets,facets,optionGroups,optionValues,sku,price,taxCategory,stockOnHand,trackInventory,variantAssets,variantFacets
Plain,plain,Plain,,,,,PLAIN,12.50,standard,100000000,true,,
Scarce,scarce,Scarce,,,,,SCARCE,12.50,standard,${units},true,,
`,
  );
  const payment = { code: dummyPaymentHandler.code, arguments: [{ name: 'automaticSettle', value: 'false' }] };
  const app = await populate(
    () => bootstrap(config),
    {
      defaultLanguage: 'en',
      defaultZone: 'Americas',
      countries: [{ name: 'United States', code: 'US', zone: 'Americas' }],
      taxRates: [{ name: 'Standard Tax', percentage: 8 }],
      shippingMethods: [{ name: 'Standard Shipping', price: 500 }],
      paymentMethods: [{ name: 'Dummy', handler: payment }],
      collections: [],
    },
    products,
  );
  await app.close();
  process.exit(0);
}
await bootstrap(config);
process.send?.({ port });
process.once('disconnect', () => process.exit(0));
