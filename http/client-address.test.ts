import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressText, networkKey, networkOf, normalAddress, TrustedProxies } from './client-address.ts';

test('without trusted proxies the peer is the client, whatever it says', () => {
  assert.equal(new TrustedProxies([]).clientOf('198.51.100.7', '1.1.1.1'), '198.51.100.7');
});

test('behind trusted proxies the client is the rightmost address that is none of them', () => {
  const proxies = new TrustedProxies(['10.0.0.0/8', '192.0.2.1', '2001:db8:ffff::/48']);
  assert.equal(proxies.clientOf('10.0.0.1', '6.6.6.6, 203.0.113.9'), '203.0.113.9');
  assert.equal(proxies.clientOf('10.0.0.1', '6.6.6.6,203.0.113.9, 192.0.2.1,10.9.9.9'), '203.0.113.9');
  assert.equal(proxies.clientOf('2001:db8:ffff::1', '2001:db8:1::5'), '2001:db8:1::5');
  assert.equal(proxies.clientOf('203.0.113.9', '6.6.6.6'), '203.0.113.9');
  assert.equal(proxies.clientOf('10.0.0.1', ''), '10.0.0.1');
});

test('what is no address is never believed', () => {
  const proxies = new TrustedProxies(['10.0.0.0/8']);
  assert.equal(proxies.clientOf('10.0.0.1', 'unknown'), '10.0.0.1');
  assert.equal(proxies.clientOf('10.0.0.1', '6.6.6.6, unknown, 10.0.0.2'), '10.0.0.2');
  assert.equal(proxies.clientOf('10.0.0.1', ',,'), '10.0.0.1');
  assert.equal(proxies.clientOf('10.0.0.1', '1.2.3.4, '.repeat(5_000).concat('10.0.0.9')), '1.2.3.4');
});

test('ports, brackets and IPv4-mapped forms are taken off', () => {
  assert.equal(normalAddress('203.0.113.9:4711'), '203.0.113.9');
  assert.equal(normalAddress('[2001:db8::1]:443'), '2001:db8::1');
  assert.equal(normalAddress('::ffff:203.0.113.9'), '203.0.113.9');
  for (const text of ['', 'host', '1.2.3', '1.2.3.4.5', '[', '<script>']) assert.equal(normalAddress(text), null, text);
});

test('binary addresses become text', () => {
  assert.equal(addressText(Uint8Array.of(127, 0, 0, 1)), '127.0.0.1');
  const mapped = new Uint8Array(16);
  mapped.set([0xff, 0xff, 203, 0, 113, 9], 10);
  assert.equal(addressText(mapped), '203.0.113.9');
  const six = new Uint8Array(16);
  six.set([0x20, 0x01, 0x0d, 0xb8]);
  six[15] = 1;
  assert.equal(addressText(six), '2001:db8:0:0:0:0:0:1');
  assert.equal(addressText(new Uint8Array(0)), '');
});

test('an IPv6 client is counted by its /64, an IPv4 client by itself, in every spelling', () => {
  assert.equal(networkOf('203.0.113.9'), '203.0.113.9');
  for (const spelling of ['2001:db8:0:7:1:2:3:4', '2001:DB8:0:7::1', '2001:0db8:0000:0007:ffff::', '2001:db8:0:7::'])
    assert.equal(networkOf(spelling), '2001:db8:0:7::/64', spelling);
  assert.equal(networkOf('::1'), '0:0:0:0::/64');
  assert.equal(networkOf('2001:db8::7:1:2:3:4'), '2001:db8:0:7::/64');
});

test('binary IPv4 addresses are counted by number, plain and mapped alike, and IPv6 by /64', () => {
  const mapped = new Uint8Array(16);
  mapped.set([0xff, 0xff, 203, 0, 113, 9], 10);
  assert.equal(networkKey(Uint8Array.of(203, 0, 113, 9)), 0xcb007109);
  assert.equal(networkKey(mapped), 0xcb007109);
  assert.equal(networkKey(Uint8Array.of(255, 255, 255, 255)), 0xffffffff);
  const six = (last: number) => Uint8Array.from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, last]);
  assert.equal(networkKey(six(1)), networkKey(six(2)));
});
