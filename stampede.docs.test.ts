/**
 * The pages for people, in a real browser: every call of the document is shown, nothing is loaded from elsewhere, and neither the
 * console nor the pages' own policy has anything to complain about.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { ShopProcess } from './bench/shop-process.ts';

const CHROMIUM = process.env.TEST_CHROMIUM ?? '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : 'needs a browser: install the Debian package chromium';
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
];

let shop: ShopProcess;
let browser: Browser;

before(async () => {
  if (skip !== false) return;
  shop = await ShopProcess.start();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
});
after(async () => {
  await browser?.close();
  await shop?.stop();
  await shop?.cleanUp();
});

/** A page that notes everything a reader should never meet. */
async function openPage(): Promise<{ readonly page: Page; readonly complaints: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'data:' && origin !== `http://127.0.0.1:${shop.port}`)
      complaints.push(`outside: ${request.url()}`);
  });
  return { page, complaints };
}

test('the documentation shows every call, and one can be tried from it', { skip }, async () => {
  const { page, complaints } = await openPage();
  await page.goto(`http://127.0.0.1:${shop.port}/`);
  await page.waitForSelector('.opblock');
  assert.equal(new URL(page.url()).pathname, '/docs');
  const { paths } = (await shop.request('GET', '/openapi.json')).body;
  const calls = Object.entries<object>(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const shown = await page.$$eval('.opblock-summary', (blocks) =>
    blocks.map((block) => {
      const text = (selector: string) =>
        block
          .querySelector(selector)
          ?.textContent?.replace(/\u200b/g, '')
          .trim();
      return `${text('.opblock-summary-method')} ${text('.opblock-summary-path')}`;
    }),
  );
  assert.deepEqual(shown.sort(), calls.sort());
  await page.click('#operations-products-listProducts .opblock-summary-control');
  await page.click('#operations-products-listProducts .try-out__btn');
  await page.click('#operations-products-listProducts .execute');
  const status = page.locator('#operations-products-listProducts .live-responses-table .response-col_status').last();
  await status.waitFor();
  assert.match((await status.textContent()) ?? '', /^200/);
  assert.deepEqual(complaints, []);
});

test('the page of problems leads to the line that a problem names', { skip }, async () => {
  const { page, complaints } = await openPage();
  const { type, title } = (await shop.request('GET', '/v1/products/none')).body;
  await page.goto(`http://127.0.0.1:${shop.port}${type}`);
  assert.ok((await page.locator('tr:target').textContent())?.includes(title));
  assert.ok(await page.locator('tr:target').isVisible());
  await page.click('a[href="/docs"]');
  await page.waitForSelector('.opblock');
  assert.deepEqual(complaints, []);
});
