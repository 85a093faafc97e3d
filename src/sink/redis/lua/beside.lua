-- Writes rows whose version lives beside them, in `<key>:_v`: strings, and whatever has a time to live.
-- KEYS: for each document the row's key and its sibling, `<key>:_v`.
-- ARGV: 'hash' or 'string'; the row's time to live in milliseconds ('' for ever); the time to live of its version
--       ('' for ever); for how long a deleted row's version is kept ('' keeps none); then for each document the
--       number of its fields (1 for a string), the version and the body, or '-' and the version for a delete. A hash's
--       fields are names and values in turn, each a string of MessagePack, all in one argument.
-- Versions are 19 digits and are compared as text: as Lua numbers they would lose digits past 2^53.
-- Answers the number of documents where all were applied, else for each '' (applied), the version that stands in
-- its way, or '!' and an error.
local call, pcall, find = redis.call, redis.pcall, string.find
local K, A = KEYS, ARGV
local hash, ttl, keep, horizon = A[1] == 'hash', A[2], A[3], A[4]
local at, n, out = 5, 0, false

for k = 1, #K, 2 do
  local key, side = K[k], K[k + 1]
  local fields, new, body = A[at], A[at + 1], A[at + 2]
  at = at + 2
  if fields ~= '-' then at = at + 1 end
  local held = pcall('GET', side)
  if not held then
    if hash then
      -- A row that was written before a time to live was configured has its version inside.
      held = pcall('HGET', key, '_v')
    else
      local kind = call('TYPE', key).ok
      if kind ~= 'none' and kind ~= 'string' then
        held = { err = 'WRONGTYPE the key holds a ' .. kind .. ' that this pipeline did not write' }
      end
    end
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
    else
      call('DEL', side)
    end
  else
    if hash then
      call('DEL', key)
      fields = tonumber(fields)
      if fields > MANY then
        wide(key, body)
      elseif fields > 0 then
        call('HSET', key, cmsgpack.unpack(body))
      end
      if ttl ~= '' then call('PEXPIRE', key, ttl) end
    elseif ttl ~= '' then
      call('SET', key, body, 'PX', ttl)
    else
      call('SET', key, body)
    end
    if keep ~= '' then
      call('SET', side, new, 'PX', keep)
    else
      call('SET', side, new)
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
