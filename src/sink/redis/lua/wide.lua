-- Rows of more fields than Lua's stack takes at once: for both scripts that write rows.
local MANY = 2000

local function some(key, next, ...)
  redis.call('HSET', key, ...)
  return next
end

local function wide(key, row)
  local next = 0
  while next >= 0 do
    next = some(key, cmsgpack.unpack_limit(row, 2 * MANY, next))
  end
end

