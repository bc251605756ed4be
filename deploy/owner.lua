-- For Envoy (LuaJIT): which node should have the cart or the order that a request is about, figured as the nodes figure it
-- (runtime/shard.ts, runtime/rendezvous.ts): both hashes are frozen, and a test holds this file to them.
-- Write your nodes below, as in NODE_ID of each.
local NODES = { 'node-1', 'node-2', 'node-3' }

-- The product of two 32-bit integers, modulo 2^32: in doubles it would lose its low bits.
local function imul(a, b)
  local low = bit.band(a, 0xffff)
  local high = bit.rshift(a, 16)
  return bit.tobit(low * (b % 4294967296) % 4294967296 + high * bit.band(b, 0xffff) % 65536 * 65536)
end

local function fnv(text, seed)
  local h = bit.tobit(seed)
  for i = 1, #text do h = imul(bit.bxor(h, string.byte(text, i)), 0x01000193) end
  return h
end

local function hash(text, seed)
  local h = fnv(text, seed)
  h = imul(bit.bxor(h, bit.rshift(h, 16)), 0x85ebca6b)
  h = imul(bit.bxor(h, bit.rshift(h, 13)), 0xc2b2ae35)
  return bit.bxor(h, bit.rshift(h, 16))
end

local function shard_of(type, id)
  local h = fnv(type .. ':' .. id, 0x811c9dc5)
  h = bit.bxor(h, bit.rshift(h, 16))
  return bit.band(bit.bxor(h, bit.rshift(h, 8)), 255)
end

-- All nodes of one weight: the highest draw wins.
local function rendezvous(shard, nodes)
  local best, highest = '', -1
  for _, node in ipairs(nodes) do
    local high = hash(shard .. ':' .. node, 0x811c9dc5)
    local low = hash(node .. ':' .. shard, high)
    local drawn = (high % 4294967296) * 0x200000 + bit.rshift(low, 11) + 0.5
    if drawn > highest then best, highest = node, drawn end
  end
  return best
end

local function owner_of(path, nodes)
  local type, id = string.match(path, '^/v1/(cart)s/([^/?]+)')
  if type == nil then type, id = string.match(path, '^/v1/(order)s/([^/?]+)') end
  if type == nil then return nil end
  return rendezvous(shard_of(type, id), nodes)
end

-- A changed header lets Envoy choose the route anew.
function envoy_on_request(handle)
  handle:headers():remove('x-stampede-owner')
  local owner = owner_of(handle:headers():get(':path'), NODES)
  if owner ~= nil then handle:headers():add('x-stampede-owner', owner) end
end
