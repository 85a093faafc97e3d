-- Writes rows whose version lives in the row's own hash, in the field `_v`.
-- KEYS: for each document the row's key and its sibling, `<key>:_v`.
-- ARGV: for how many milliseconds a deleted row's version is kept ('' keeps none); then for each document the number of
--       its fields, the version and the fields, or '-' and the version for a delete. Fields are names and values in
--       turn, each a string of MessagePack, all in one argument: an argument costs more than its part in that.
-- Versions are 19 digits and are compared as text: as Lua numbers they would lose digits past 2^53.
-- Answers the number of documents where all were applied, else for each '' (applied), the version that stands in
-- its way, or '!' and an error.
local call, pcall, find = redis.call, redis.pcall, string.find
local K, A = KEYS, ARGV
local horizon = A[1]
local at, n, out = 2, 0, false

local function put(key, version, row, fields)
  if tonumber(fields) <= MANY then
    call('HSET', key, '_v', version, cmsgpack.unpack(row))
  else
    call('HSET', key, '_v', version)
    wide(key, row)
  end
end

for k = 1, #K, 2 do
  local key, side = K[k], K[k + 1]
  local fields, new, row = A[at], A[at + 1], A[at + 2]
  at = at + 2
  if fields ~= '-' then at = at + 1 end
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
  elseif fields == '-' then
    call('DEL', key)
    if horizon ~= '' then
      call('SET', side, new, 'PX', horizon)
    elseif not inside then
      call('DEL', side)
    end
  else
    if not inside then call('DEL', key, side) end
    put(key, new, row, fields)
    -- Every field of the new row overwrites its own; where the count then differs, the old row had others.
    if inside and call('HLEN', key) ~= fields + 1 then
      call('DEL', key)
      put(key, new, row, fields)
    end
  end
  n = n + 1
  if answer ~= '' and not out then
    out = {}
    for i = 1, n - 1 do out[i] = '' end
  end
  if out then out[n] = answer end
end
return out or n
