// For nginx (njs): which node should have the cart or the order that a request is about, figured as the nodes figure it
// (runtime/shard.ts, runtime/rendezvous.ts): both hashes are frozen, and a test holds this file to them.
// Copy it beside nginx.conf and write your nodes below.

// As in NODE_ID of each node.
const NODES = ['node-1', 'node-2', 'node-3'];

const owners = {};

// js_set: the name of the node, or '' where the request is about nothing that has an owner.
function ofRequest(r) {
  return ofPath(r.uri, NODES);
}

function ofPath(path, nodes) {
  const found = /^\/v1\/(cart|order)s\/([^/]+)/.exec(path);
  if (found === null) return '';
  const shard = shardOf(found[1], found[2]);
  const key = `${shard} ${nodes.join(' ')}`;
  if (owners[key] === undefined) owners[key] = rendezvous(shard, nodes);
  return owners[key];
}

function shardOf(type, id) {
  let h = fnv(`${type}:${id}`, 0x811c9dc5);
  h ^= h >>> 16;
  return (h ^ (h >>> 8)) & 255;
}

// All nodes of one weight: the highest draw wins.
function rendezvous(shard, nodes) {
  let best = '';
  let highest = -1;
  nodes.forEach((node) => {
    const high = hash(`${shard}:${node}`, 0x811c9dc5);
    const low = hash(`${node}:${shard}`, high);
    const drawn = ((high >>> 0) * 0x200000 + (low >>> 11) + 0.5) / 9007199254740992;
    if (drawn > highest) {
      highest = drawn;
      best = node;
    }
  });
  return best;
}

function hash(text, seed) {
  let h = fnv(text, seed);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function fnv(text, seed) {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}

export default { ofRequest, ofPath };
