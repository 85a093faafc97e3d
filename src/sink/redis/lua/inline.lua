#!lua flags=no-cluster
-- Writes rows whose version lives in the row's own hash, in the field `_v`.
-- KEYS: for each document the row's key and its sibling, `<key>:_v`.
-- ARGV: for how many milliseconds a deleted row's version is kept ('' keeps none); then for each document the
--       number of arguments that follow (`_v`, version, name, value, …), or '-' and the version for a delete.
-- Versions are 19 digits and are compared as text: as Lua numbers they would lose digits past 2^53.
-- Answers the number of documents where all were applied, else for each '' (applied), the version that stands in
-- its way, or '!' and an error.
local call, pcall, find = redis.call, redis.pcall, string.find
local K, A = KEYS, ARGV
local horizon = A[1]
local at, n, out = 2, 0, false

-- Lua's stack takes fewer values at once than a row may have columns.
local function put(key, from, to)
  for i = from, to, 4000 do
    call('HSET', key, unpack(A, i, math.min(i + 3999, to)))
  end
end

for k = 1, #K, 2 do
  local key, side = K[k], K[k + 1]
  local size, new, last = A[at], A[at + 2], 0
  if size == '-' then
    new, last = A[at + 1], at + 1
  else
    last = at + size
  end
  local inside = pcall('HGET', key, '_v')
  local held = inside
  if not held then
    held = pcall('GET', side)
  end
  local answer = ''
  if type(held) == 'table' then
    answer = '!' .. held.err
  elseif held and (#held ~= 19 or find(held, '%D')) then
    answer = '!BADVERSION the key holds something else than a version where its version should be'
  elseif held and held >= new then
    answer = held
  elseif size == '-' then
    call('DEL', key)
    if horizon ~= '' then
      call('SET', side, new, 'PX', horizon)
    elseif not inside then
      call('DEL', side)
    end
  elseif inside then
    -- Every field of the new row overwrites its own; where the count then differs, the old row had others.
    put(key, at + 1, last)
    if call('HLEN', key) * 2 ~= last - at then
      call('DEL', key)
      put(key, at + 1, last)
    end
  else
    call('DEL', key, side)
    put(key, at + 1, last)
  end
  n = n + 1
  if answer ~= '' and not out then
    out = {}
    for i = 1, n - 1 do out[i] = '' end
  end
  if out then out[n] = answer end
  at = last + 1
end
return out or n
