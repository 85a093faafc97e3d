#!lua flags=no-cluster
-- Writes rows whose version lives in the row's own hash, in the field `_v`.
-- KEYS: for each document the row's key and its sibling, `<key>:_v`.
-- ARGV: for how many milliseconds a deleted row's version is kept ('' keeps none); the number of lists of names, and
--       for each the number of its names and the names; then for each document the number of its list (from 1), the
--       version and a value for each name, or '-' and the version for a delete.
-- Versions are 19 digits and are compared as text: as Lua numbers they would lose digits past 2^53.
-- Answers the number of documents where all were applied, else for each '' (applied), the version that stands in
-- its way, or '!' and an error.
local call, pcall, find = redis.call, redis.pcall, string.find
local K, A = KEYS, ARGV
local horizon = A[1]
local at, n, out = 3, 0, false

-- What HSET takes after the key, for each list: `_v` and its value, then name and value in turn. The values are put in
-- for each document.
local rows, sizes = {}, {}
for list = 1, tonumber(A[2]) do
  local size = tonumber(A[at])
  local row = { '_v', '' }
  for i = 1, size do
    row[2 * i + 1] = A[at + i]
    row[2 * i + 2] = ''
  end
  local number = tostring(list)
  rows[number], sizes[number] = row, size
  at = at + size + 1
end

-- Lua's stack takes fewer values at once than a row may have columns.
local function put(key, row, size)
  for i = 1, size, 4000 do
    call('HSET', key, unpack(row, i, math.min(i + 3999, size)))
  end
end

for k = 1, #K, 2 do
  local key, side = K[k], K[k + 1]
  local list, new = A[at], A[at + 1]
  local row, size = rows[list], sizes[list] or 0
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
  elseif not row then
    call('DEL', key)
    if horizon ~= '' then
      call('SET', side, new, 'PX', horizon)
    elseif not inside then
      call('DEL', side)
    end
  else
    row[2] = new
    for i = 1, size do
      row[2 * i + 2] = A[at + 1 + i]
    end
    local all = 2 * size + 2
    if inside then
      -- Every field of the new row overwrites its own; where the count then differs, the old row had others.
      put(key, row, all)
      if call('HLEN', key) * 2 ~= all then
        call('DEL', key)
        put(key, row, all)
      end
    else
      call('DEL', key, side)
      put(key, row, all)
    end
  end
  n = n + 1
  if answer ~= '' and not out then
    out = {}
    for i = 1, n - 1 do out[i] = '' end
  end
  if out then out[n] = answer end
  at = at + 2 + size
end
return out or n
