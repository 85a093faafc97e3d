#!lua
-- Charges one comment to its author and to its room, once however often it is delivered.
-- KEYS: what was said of this comment; the author's account; the room's account; when the author's last comment
--       in this room passed. All of one room, so of one slot.
-- ARGV: the author; for how long (ms) what is said is remembered; of the author's rate the microseconds between
--       two and the burst; the same of the room's; slow mode in ms (0: off).
-- Answers {what, number}: 'ok' and how many more the author may send at once, else 'slow', 'user' or 'room' and
-- the milliseconds to wait. What is refused is charged to nobody.
-- Microseconds since 1970 are exact in Lua's numbers, which hold 2^53.
local call = redis.call

local said = call('GET', KEYS[1])
if said then
  local who, what, n = string.match(said, '^(%x+) (%a+) (%d+)$')
  -- Of another author it is the sequence of a stream that was made anew.
  if who == ARGV[1] then return { what, tonumber(n) } end
end

local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- The account after one more, and how long that one would have to wait.
local function ask(key, every, burst)
  local most = every * burst
  local at = tonumber(call('GET', key) or '') or 0
  at = math.min(math.max(at, now), now + most)
  local after = at + every
  return after, after - now - most
end

local function answer(what, n)
  call('SET', KEYS[1], ARGV[1] .. ' ' .. what .. ' ' .. string.format('%.0f', n), 'PX', ARGV[2])
  return { what, n }
end

local slow = tonumber(ARGV[7])
if slow > 0 then
  local last = tonumber(call('GET', KEYS[4]) or '') or 0
  local wait = math.min(last, now) + slow * 1000 - now
  if wait > 0 then return answer('slow', math.ceil(wait / 1000)) end
end

local every, burst = tonumber(ARGV[3]), tonumber(ARGV[4])
local user, early = ask(KEYS[2], every, burst)
if early > 0 then return answer('user', math.ceil(early / 1000)) end
local room, busy = ask(KEYS[3], tonumber(ARGV[5]), tonumber(ARGV[6]))
if busy > 0 then return answer('room', math.ceil(busy / 1000)) end

local function keep(key, at)
  call('SET', key, string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000))
end
keep(KEYS[2], user)
keep(KEYS[3], room)
if slow > 0 then
  call('SET', KEYS[4], string.format('%.0f', now), 'PX', slow)
end
return answer('ok', math.floor((every * burst - (user - now)) / every))
