/**
 * An exemption from taxes on its way in and out. Its id (a VAT number, the number of a certificate) may name a person, so it is sealed at
 * the edge under the key of the cart, as e-mail and address are at checkout: events, snapshots, recorded answers and the read side hold
 * it encrypted only, and destroying the key erases it. It is opened for the order, whose invoice shows it, and for the tax provider;
 * a cart shows that it is exempt and where, never the id.
 */
import type { SealedText, TaxExemption } from '../workers/quote.ts';
import type { Subjects } from './app.ts';
import type { ExemptionInput } from './schemas-cart.ts';

/** With its id sealed; the subject gets a key if it has none, durable before this resolves. */
export async function sealExemption(subjects: Subjects, subject: string, input: ExemptionInput): Promise<TaxExemption> {
  await subjects.ensure(subject);
  const sealed = Buffer.from(await subjects.seal(subject, input.id)).toString('base64url');
  return { ...input, id: { subject, sealed } };
}

/** The id in clear; null where the person was erased. */
export async function openId(subjects: Pick<Subjects, 'open'>, id: TaxExemption['id']): Promise<string | null> {
  return typeof id === 'string' ? id : await openText(subjects, id);
}

export async function openText(subjects: Pick<Subjects, 'open'>, text: SealedText): Promise<string | null> {
  return (await subjects.open(text.subject, Buffer.from(text.sealed, 'base64url'))) as string | null;
}
