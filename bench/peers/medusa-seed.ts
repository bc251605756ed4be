/**
 * What Medusa sells in a bench, put there by `medusa exec`: one product with plenty of stock and one that is scarce, taxes, one way to ship and the payment
 * provider that comes with it. Arguments: the file that is told what storefronts have to know, units of the scarce one.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { MedusaGoods } from '../medusa-shop.ts';

const PLENTY = 100_000_000;

// biome-ignore lint/suspicious/noExplicitAny: it has types of its own, which the project does not install
type Any = any;

export default async function seed({ container, args }: { container: Any; args: readonly string[] }): Promise<void> {
  const [file = '', units = '0'] = args;
  const load = createRequire(join(process.cwd(), 'package.json'));
  const flows = load('@medusajs/medusa/core-flows');
  const { Modules, ContainerRegistrationKeys } = load('@medusajs/framework/utils');
  const run = async (name: string, input: unknown): Promise<Any> =>
    (await flows[`${name}Workflow`](container).run({ input })).result;
  const atLocation = (id: string, fulfillment: object) =>
    container
      .resolve(ContainerRegistrationKeys.LINK)
      .create({ [Modules.STOCK_LOCATION]: { stock_location_id: id }, [Modules.FULFILLMENT]: fulfillment });

  const [channel] = await run('createSalesChannels', { salesChannelsData: [{ name: 'Bench' }] });
  const [key] = await run('createApiKeys', { api_keys: [{ title: 'Bench', type: 'publishable', created_by: '' }] });
  await run('linkSalesChannelsToApiKey', { id: key.id, add: [channel.id] });
  const [region] = await run('createRegions', {
    regions: [{ name: 'US', currency_code: 'usd', countries: ['us'], payment_providers: ['pp_system_default'] }],
  });
  const rate = { rate: 8, name: 'Standard', code: 'standard' };
  await run('createTaxRegions', [{ country_code: 'us', provider_id: 'tp_system', default_tax_rate: rate }]);

  const [location] = await run('createStockLocations', {
    locations: [{ name: 'Here', address: { city: 'Austin', country_code: 'US', address_1: '' } }],
  });
  await run('linkSalesChannelsToStockLocation', { id: location.id, add: [channel.id] });
  await atLocation(location.id, { fulfillment_provider_id: 'manual_manual' });
  const [profile] = await run('createShippingProfiles', { data: [{ name: 'Default', type: 'default' }] });
  const set = await container.resolve(Modules.FULFILLMENT).createFulfillmentSets({
    name: 'From here',
    type: 'shipping',
    service_zones: [{ name: 'US', geo_zones: [{ country_code: 'us', type: 'country' }] }],
  });
  await atLocation(location.id, { fulfillment_set_id: set.id });
  const [option] = await run('createShippingOptions', [
    {
      name: 'Standard',
      price_type: 'flat',
      provider_id: 'manual_manual',
      service_zone_id: set.service_zones[0].id,
      shipping_profile_id: profile.id,
      type: { label: 'Standard', description: 'Standard', code: 'standard' },
      prices: [{ currency_code: 'usd', amount: 5 }],
      rules: [
        { attribute: 'enabled_in_store', value: 'true', operator: 'eq' },
        { attribute: 'is_return', value: 'false', operator: 'eq' },
      ],
    },
  ]);

  const product = (title: string) => ({
    title,
    status: 'published',
    shipping_profile_id: profile.id,
    sales_channels: [{ id: channel.id }],
    options: [{ title: 'Kind', values: ['One'] }],
    variants: [
      {
        title: 'One',
        sku: title,
        options: { Kind: 'One' },
        manage_inventory: true,
        prices: [{ amount: 12.5, currency_code: 'usd' }],
      },
    ],
  });
  const [plain, scarce] = await run('createProducts', { products: [product('PLAIN'), product('SCARCE')] });
  const { data: items } = await container
    .resolve(ContainerRegistrationKeys.QUERY)
    .graph({ entity: 'inventory_item', fields: ['id', 'sku'] });
  await run('createInventoryLevels', {
    inventory_levels: items.map(({ id, sku }: { id: string; sku: string }) => ({
      location_id: location.id,
      inventory_item_id: id,
      stocked_quantity: sku === 'PLAIN' ? PLENTY : Number(units),
    })),
  });
  const goods: MedusaGoods = {
    key: key.token,
    region: region.id,
    option: option.id,
    variants: { plain: plain.variants[0].id, scarce: scarce.variants[0].id },
  };
  writeFileSync(file, JSON.stringify(goods));
}
