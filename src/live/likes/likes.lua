#!lua
-- Adds one window of likes to its room's total, once however often it is sent.
-- KEYS: the room's total; what this sender has sent to it. Of one room, so of one slot.
-- ARGV: the window's number, from 1 and without gaps; its likes; the highest total that the sender has been
--       told; for how long (ms) the sender is remembered.
-- Answers {'added' or 'had', the total as text, 1 where the total was below what the sender had been told}.
-- The total is below it only where this server has lost what it acknowledged: then it is raised, so that it
-- never falls for those who saw it. Numbers are exact up to 2^53.
local call = redis.call
local total = tonumber(call('HGET', KEYS[1], 'total') or '') or 0
local told = tonumber(ARGV[3])
local forgot = 0
if total < told then
  total, forgot = told, 1
end
local sent = call('HMGET', KEYS[2], 'window', 'sum')
local what = 'had'
if tonumber(ARGV[1]) > (tonumber(sent[1] or '') or 0) then
  what = 'added'
  total = total + ARGV[2]
  local sum = (tonumber(sent[2] or '') or 0) + ARGV[2]
  call('HSET', KEYS[2], 'window', ARGV[1], 'sum', string.format('%.0f', sum))
end
call('PEXPIRE', KEYS[2], ARGV[4])
local text = string.format('%.0f', total)
if what == 'added' or forgot == 1 then
  call('HSET', KEYS[1], 'total', text)
end
return { what, text, forgot }
