#!lua flags=no-cluster
-- Keeps beside the markers which topic they belong to.
-- KEYS: the markers' hash. ARGV: topic, topic id, epoch, partitions.
-- Answers 'made' (there was none), 'same', 'raised' (another topic under a higher epoch: the old markers are void and
-- gone), or {topic, topic id, epoch, partitions} as found, where that contradicts.
local found = redis.call('HMGET', KEYS[1], 'topic', 'topic_id', 'epoch', 'partitions')
local answer = 'made'
if found[2] and found[3] then
  local same = found[2] == ARGV[2]
  if same and found[3] == ARGV[3] and found[4] == ARGV[4] then return 'same' end
  if same or (tonumber(found[3]) or 32768) >= tonumber(ARGV[3]) then
    return { found[1] or '', found[2], found[3], found[4] or '' }
  end
  answer = 'raised'
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'topic', ARGV[1], 'topic_id', ARGV[2], 'epoch', ARGV[3], 'partitions', ARGV[4])
return answer
