import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNoticeSecret, NOTICE_TOLERANCE_MS, type NoticeHeaders, NoticeVerifier, signNotice } from './notice.ts';

const SECRET = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
const OTHER = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const NOW = 1_700_000_000_000;
const BODY = '{"type":"payment.captured","reference":"ord_1"}';

function genuine(headers: Partial<NoticeHeaders>, more: { body?: string; now?: number; secrets?: string[] } = {}) {
  const { body = BODY, now = NOW, secrets = [SECRET] } = more;
  return new NoticeVerifier(secrets).isGenuine(Buffer.from(body), (name) => headers[name] ?? '', now);
}

test('the example of the Standard Webhooks specification verifies', () => {
  const secret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
  const body = '{"event_type":"ping","data":{"success":true}}';
  const headers = {
    'webhook-id': 'msg_27UH4WbU6Z5A5EzD8u03UvzRbpk',
    'webhook-timestamp': '1649367553',
    'webhook-signature': signNotice(secret, 'msg_27UH4WbU6Z5A5EzD8u03UvzRbpk', body, 1_649_367_553_000)[
      'webhook-signature'
    ],
  };
  assert.ok(genuine(headers, { body, now: 1_649_367_553_000, secrets: [secret] }));
});

test('a signed notice is genuine, as often as it comes', () => {
  const headers = signNotice(SECRET, 'msg_1', BODY, NOW);
  for (let i = 0; i < 3; i++) assert.ok(genuine(headers));
});

test('another body, id, time, secret or scheme is not genuine', () => {
  const headers = signNotice(SECRET, 'msg_1', BODY, NOW);
  assert.equal(genuine(headers, { body: `${BODY} ` }), false);
  assert.equal(genuine({ ...headers, 'webhook-id': 'msg_2' }), false);
  assert.equal(genuine({ ...headers, 'webhook-timestamp': String(NOW / 1000 + 1) }), false);
  assert.equal(genuine(headers, { secrets: [OTHER] }), false);
  assert.equal(
    genuine({ ...headers, 'webhook-signature': headers['webhook-signature'].replace('v1,', 'v1a,') }),
    false,
  );
});

test('missing headers and ones of no form are not genuine', () => {
  const headers = signNotice(SECRET, 'msg_1', BODY, NOW);
  for (const name of Object.keys(headers)) assert.equal(genuine({ ...headers, [name]: '' }), false, name);
  for (const signature of ['v1', 'v1,', ',', ' ', 'v1,\u0000', 'x'.repeat(4_000)])
    assert.equal(genuine({ ...headers, 'webhook-signature': signature }), false, signature);
  for (const timestamp of ['now', '-1', '1e9', '1700000000.5', '9'.repeat(40)])
    assert.equal(genuine({ ...headers, 'webhook-timestamp': timestamp }), false, timestamp);
});

test('a notice that is older or newer than the tolerance is not genuine', () => {
  const headers = signNotice(SECRET, 'msg_1', BODY, NOW);
  for (const offset of [NOTICE_TOLERANCE_MS, -NOTICE_TOLERANCE_MS])
    assert.ok(genuine(headers, { now: NOW + offset }), String(offset));
  for (const offset of [NOTICE_TOLERANCE_MS + 1, -NOTICE_TOLERANCE_MS - 1])
    assert.equal(genuine(headers, { now: NOW + offset }), false, String(offset));
});

test('any of several secrets, and any of several signatures, will do', () => {
  const old = signNotice(OTHER, 'msg_1', BODY, NOW);
  assert.ok(genuine(old, { secrets: [SECRET, OTHER] }));
  const both = { ...old, 'webhook-signature': `v1,AAAA v2,x ${old['webhook-signature']}` };
  assert.ok(genuine(both, { secrets: [OTHER] }));
});

test('a secret is at least 24 bytes in base64', () => {
  for (const secret of [SECRET, OTHER, SECRET.slice(6)]) assert.ok(isNoticeSecret(secret), secret);
  for (const secret of [
    '',
    'whsec_',
    'whsec_AAAA',
    'not base64 at all, though it is long',
    `${SECRET}!`,
    'A'.repeat(33),
  ])
    assert.equal(isNoticeSecret(secret), false, secret);
});
