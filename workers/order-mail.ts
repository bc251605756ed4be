/** The text of an order's confirmation, plain and HTML, from the order's quote and its opened contact. Pure. */
import { minorUnit } from '../schema/currency.ts';
import type { Mail } from './mailer.ts';
import type { OrderContact, OrderSummary } from './order-jobs.ts';
import type { Quote } from './quote.ts';

interface Row {
  readonly label: string;
  readonly amount: string;
}

export function orderMail(order: OrderSummary & { readonly quote: Quote }, contact: OrderContact): Mail {
  const { quote, id } = order;
  const money = (amount: number) => moneyText(amount, quote.currency);
  const lines = quote.lines.map((line) => ({
    label: `${line.quantity} × ${line.name} (${line.sku})`,
    amount: money(line.total),
  }));
  const totals = totalRows(quote, money);
  const address = addressLines(contact.shippingAddress);
  const name = contact.shippingAddress.name;
  return {
    name: id,
    to: { name, address: contact.email },
    subject: `Your order ${id} is confirmed`,
    text: asText(id, name, lines, totals, address),
    html: asHtml(id, name, lines, totals, address),
    date: order.placedAt,
  };
}

/** An amount in minor units as a reader expects it: `1,234.50 USD`, `1,234 JPY`, `-0.50 EUR`. */
export function moneyText(amount: number, currency: string): string {
  const digits = minorUnit(currency) ?? 0;
  const text = String(Math.abs(amount)).padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, ',');
  const fraction = digits === 0 ? '' : `.${text.slice(-digits)}`;
  return `${amount < 0 ? '-' : ''}${whole}${fraction} ${currency}`;
}

function totalRows(quote: Quote, money: (amount: number) => string): Row[] {
  const rows: Row[] = [{ label: 'Subtotal', amount: money(quote.subtotal) }];
  for (const { label, code, amount } of quote.discounts) {
    rows.push({ label: `Discount: ${label} (${code})`, amount: money(-amount) });
  }
  if (quote.shipping !== null) rows.push({ label: 'Shipping', amount: money(quote.shippingPrice) });
  for (const tax of quote.taxes) {
    const rate = `${tax.ratePpm / 10_000} %`;
    rows.push({ label: `${tax.included ? 'Included ' : ''}${tax.name} ${rate}`, amount: money(tax.amount) });
  }
  rows.push({ label: 'Total', amount: money(quote.total) });
  return rows;
}

function addressLines(address: OrderContact['shippingAddress']): string[] {
  const { name, line1, line2, city, region, postalCode, country } = address;
  const place = [city, region, postalCode].filter((part) => part !== undefined && part !== '').join(' ');
  return [name, line1, line2 ?? '', place, country].filter((line) => line !== '');
}

function asText(id: string, name: string, lines: readonly Row[], totals: readonly Row[], address: readonly string[]) {
  const rows = (list: readonly Row[]) => list.map(({ label, amount }) => `${label}\n    ${amount}`).join('\n');
  return [
    `Dear ${name},`,
    `thank you for your order ${id}. It is confirmed.`,
    rows(lines),
    rows(totals),
    `It will be sent to:\n${address.map((line) => `    ${line}`).join('\n')}`,
  ].join('\n\n');
}

function asHtml(id: string, name: string, lines: readonly Row[], totals: readonly Row[], address: readonly string[]) {
  const row = ({ label, amount }: Row) =>
    `<tr><td>${escaped(label)}</td><td style="text-align:right;white-space:nowrap">${escaped(amount)}</td></tr>`;
  return [
    '<!doctype html><html lang="en"><body style="font-family:sans-serif">',
    `<p>Dear ${escaped(name)},</p><p>thank you for your order <b>${escaped(id)}</b>. It is confirmed.</p>`,
    `<table cellpadding="4">${lines.map(row).join('')}<tr><td colspan="2"><hr></td></tr>${totals.map(row).join('')}</table>`,
    `<p>It will be sent to:<br>${address.map(escaped).join('<br>')}</p>`,
    '</body></html>',
  ].join('\n');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => entities[sign] ?? sign);
}
