/**
 * What a node shows of its secrets, so that members can tell whether they share them: keyed hashes, from which no secret of 32 random
 * characters is found. A cart's token must open the cart on every node, and every node must read what another has encrypted.
 */
import { createHmac } from 'node:crypto';
import type { MemberIdentity } from '../schema/members.ts';
import type { Secrets } from './storage.ts';

/** Changing it is as changing every secret at once: members of two versions would refuse each other. */
const PURPOSE = 'stampede member identity 1';

export function identityOf({ dataKey, tokenSecrets }: Pick<Secrets, 'dataKey' | 'tokenSecrets'>): MemberIdentity {
  const verifying = tokenSecrets.map(fingerprint);
  return { dataKey: fingerprint(dataKey), signing: verifying[0] ?? '', verifying };
}

function fingerprint(secret: string | Buffer): string {
  return createHmac('sha256', secret).update(PURPOSE).digest('base64url');
}
