/**
 * Who is calling, as an address. `X-Forwarded-For` is believed only from `TRUSTED_PROXIES`, and then read from the right: the
 * first address that is no trusted proxy is the client; what stands left of it was written by the client and proves nothing.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Addresses in one header that are looked at; a chain of more proxies is not believed further. */
const HOPS_MAX = 16;
const VERDICTS_MAX = 1_024;

export class TrustedProxies {
  readonly #list = new BlockList();
  readonly #any: boolean;
  /** BlockList takes microseconds for each look; a front proxy is the same few addresses all day. */
  readonly #verdicts = new Map<string, boolean>();

  /** @param networks addresses or CIDR networks; @throws where one is neither */
  constructor(networks: readonly string[]) {
    this.#any = networks.length > 0;
    for (const network of networks) {
      const [address = '', bits] = network.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(bits), family);
    }
  }

  get any(): boolean {
    return this.#any;
  }

  /** @param peer the socket's address; @param forwarded the value of `X-Forwarded-For`, '' where there is none */
  clientOf(peer: string, forwarded: string): string {
    if (!this.#any || forwarded === '' || !this.#trusts(peer)) return peer;
    const hops = forwarded.split(',').slice(-HOPS_MAX);
    let client = peer;
    for (const hop of hops.reverse()) {
      const address = normalAddress(hop.trim());
      // what a trusted proxy wrote but is no address leaves the last good one
      if (address === null) return client;
      client = address;
      if (!this.#trusts(address)) return address;
    }
    return client;
  }

  #trusts(address: string): boolean {
    let verdict = this.#verdicts.get(address);
    if (verdict === undefined) {
      verdict = this.#list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
      if (this.#verdicts.size >= VERDICTS_MAX) this.#verdicts.clear();
      this.#verdicts.set(address, verdict);
    }
    return verdict;
  }
}

/** Without a port, brackets or an IPv4-mapped prefix; null where it is no address. */
export function normalAddress(text: string): string | null {
  let address = text;
  if (address.startsWith('[')) address = address.slice(1, address.indexOf(']'));
  else if (/^[\d.]+:\d+$/.test(address)) address = address.slice(0, address.indexOf(':'));
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) address = mapped;
  return isIP(address) === 0 ? null : address;
}

/** The peer's binary address (4 or 16 bytes) as text. An IPv4-mapped one is told as IPv4. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return '';
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  return groups.join(':');
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** As `networkOf`, from a binary address and without making text of an IPv4 one. */
export function networkKey(bytes: Uint8Array): string | number {
  if (bytes.length === 4) return uint32(bytes, 0);
  if (bytes.length === 16 && isMapped(bytes)) return uint32(bytes, 12);
  return networkOf(addressText(bytes));
}

function uint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  );
}

/** The network that an address is counted under: an IPv4 address itself, the /64 of an IPv6 one. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const rest = tail === '' ? 0 : tail.split(':').length;
    while (groups.length + rest < 8) groups.push('0');
    groups.push(...tail.split(':'));
  }
  const network = groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${network.join(':')}::/64`;
}
