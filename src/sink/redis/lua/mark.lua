#!lua flags=no-cluster
-- Raises the markers, if nothing that was acknowledged has been lost, and leaves the proof of its own run.
-- KEYS: the markers' hash; this process's tally.
-- ARGV: the epoch; the tally that was last acknowledged to this process; the tally's time to live in milliseconds;
--       'raise' or 'look'; then for each partition its field, the watermark, and the marker last acknowledged
--       ('' where none was yet, so that it may be absent).
-- Offsets stay below 2^48, so they are exact as Lua numbers.
-- Answers the new tally (or the old one after a look); or {'epoch', the epoch found};
-- or {'forgot', 'all' | 'some', field, marker or '', …}.
local call = redis.call
local epoch = call('HGET', KEYS[1], 'epoch')
if epoch and epoch ~= ARGV[1] then return { 'epoch', epoch } end
local tally = tonumber(call('GET', KEYS[2]) or 0)

local all = not epoch or tally < tonumber(ARGV[2])
local lost, raised = {}, {}
for i = 5, #ARGV, 3 do
  local field, mark, known = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local stored = call('HGET', KEYS[1], field)
  if all or (known ~= '' and (not stored or tonumber(stored) < tonumber(known))) then
    lost[#lost + 1] = field
    lost[#lost + 1] = stored or ''
  elseif not stored or tonumber(stored) < tonumber(mark) then
    raised[#raised + 1] = field
    raised[#raised + 1] = mark
  end
end
if all or #lost > 0 then
  return { 'forgot', all and 'all' or 'some', unpack(lost) }
end
if ARGV[4] == 'look' then
  -- An idle process looks every second, and its tally must not run out meanwhile.
  if call('PTTL', KEYS[2]) * 2 < tonumber(ARGV[3]) then call('PEXPIRE', KEYS[2], ARGV[3]) end
  return tally
end
for i = 1, #raised, 4000 do
  call('HSET', KEYS[1], unpack(raised, i, math.min(i + 3999, #raised)))
end
tally = call('INCR', KEYS[2])
call('PEXPIRE', KEYS[2], ARGV[3])
return tally
