namespace Tollgate.Storage;

/// <summary>
/// The steps that Redis takes as one. Each works on keys of one hash tag and on nothing else, so that it runs on one node of
/// a Redis Cluster, and finds the same when it is repeated.
/// </summary>
internal static class RedisScripts
{
    // For each counter: a question that is older than one already answered changes nothing. Demand is what calls are
    // waiting for; what is wanted beyond it shrinks as the limit comes near, so that no node sits on the last ones.
    // Without an expiry it counts calls at a time: of a node that has not been heard for ten seconds they ended with it.
    public const string Counters = """
        local me, seq, answers = ARGV[1], tonumber(ARGV[2]), {}
        local now = tonumber(redis.call('time')[1])
        for i, key in ipairs(KEYS) do
          local a = 2 + (i - 1) * 6
          local limit, spent, before = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
          local demand, want, expire = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])
          if before > 0 and redis.call('exists', key) == 0 then redis.call('hset', key, 'before', before) end
          local others, idle = 0, 0
          local all = redis.call('hgetall', key)
          local last = 0
          local gone = {}
          if expire == 0 then
            for f = 1, #all, 2 do
              if string.sub(all[f], -2) == ':t' and now - tonumber(all[f + 1]) > 10 then
                local node = string.sub(all[f], 1, -3)
                if node ~= me then
                  gone[node], gone[node .. ':g'] = true, true
                  redis.call('hdel', key, node, node .. ':g', node .. ':s', node .. ':t')
                end
              end
            end
          end
          for f = 1, #all, 2 do
            local field, value = all[f], tonumber(all[f + 1])
            local kind = string.sub(field, -2)
            if field == me .. ':s' then last = value
            elseif field == me or field == me .. ':g' or kind == ':s' or kind == ':t' or gone[field] then
            elseif kind == ':g' then idle = idle + value
            else others = others + value end
          end
          if seq <= last then
            answers[#answers + 1] = {-1, others, idle}
          else
            local free = math.max(0, limit - others - spent)
            local grant = math.min(free, math.max(demand, math.min(want, math.floor(free / 8))))
            redis.call('hset', key, me, spent + grant, me .. ':g', grant, me .. ':s', seq)
            if expire == 0 then
              redis.call('hset', key, me .. ':t', now)
              redis.call('pexpire', key, 60000)
            else redis.call('pexpireat', key, ARGV[a + 6]) end
            if grant < demand and idle > 0 then redis.call('publish', 'tollgate:wanted', key) end
            answers[#answers + 1] = {spent + grant, others, idle}
          end
        end
        return answers
        """;

    // Windows that are not aligned to the clock go by Redis's clock, the only one that all nodes have. A sliding window is
    // counted in steps, and an admission leaves with its whole step; a bucket has the units that have not drained, and when.
    // 'n:' and a node's name marks that the node has told what it knew: who is marked nowhere though it was once, or comes
    // to a key that nobody has, tells its history; -2 asks for it.
    public const string Windows = """
        local t = redis.call('time')
        local now, me, answers = t[1] * 1000000 + t[2], ARGV[1], {}
        for i, key in ipairs(KEYS) do
          local a = 1 + (i - 1) * 9
          local sliding, limit, length = ARGV[a + 1] == '0', tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
          local step, burst, demand = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])
          local back, backat, tells = tonumber(ARGV[a + 7]), tonumber(ARGV[a + 8]), ARGV[a + 9]
          local all = redis.call('hgetall', key)
          local mine, fields = false, {}
          for f = 1, #all, 2 do
            if all[f] == 'n:' .. me then mine = true
            elseif string.sub(all[f], 1, 2) ~= 'n:' then fields[all[f]] = tonumber(all[f + 1]) end
          end
          local known = tells == '?'
          if known and not mine then
            answers[#answers + 1] = {-2, 0, 0, 0}
          else
            local told = not mine and (#all == 0 or string.sub(tells, 1, 1) == '!')
            local grant, left, wait, at = 0, 0, 0, 0
            if sliding then
              at = math.floor(now / step)
              local parts = math.ceil(length / step)
              if told then
                for age, count in string.gmatch(tells, '(%d+):(%d+)') do
                  local index = string.format('%.0f', at - tonumber(age))
                  fields[index] = (fields[index] or 0) + tonumber(count)
                  redis.call('hset', key, index, fields[index])
                end
              end
              local sum, order = 0, {}
              for index, count in pairs(fields) do
                if tonumber(index) < at - parts then redis.call('hdel', key, index)
                else
                  if tonumber(index) == backat then
                    count = math.max(0, count - back)
                    redis.call('hset', key, index, count)
                  end
                  sum = sum + count
                  order[#order + 1] = {tonumber(index), count}
                end
              end
              grant = math.min(math.max(0, limit - sum), demand)
              if grant > 0 then
                redis.call('hincrby', key, string.format('%.0f', at), grant)
                sum = sum + grant
                order[#order + 1] = {at, grant}
              end
              left = math.max(0, limit - sum)
              table.sort(order, function(one, other) return one[1] < other[1] end)
              local freed = 0
              for _, part in ipairs(order) do
                freed = freed + part[2]
                if limit - (sum - freed) > left then
                  wait = (part[1] + parts + 1) * step - now
                  break
                end
              end
              redis.call('hset', key, 'n:' .. me, 1)
              redis.call('pexpire', key, math.ceil(length / 500) + 60000)
            else
              local debt = fields['debt'] or 0
              debt = math.max(0, debt - math.max(0, now - (fields['at'] or now)) * limit / length - back)
              if told and string.len(tells) > 1 then debt = burst end
              grant = math.min(math.max(0, math.floor(burst - debt + 1e-9)), demand)
              debt = debt + grant
              left = math.max(0, math.floor(burst - debt + 1e-9))
              if debt > 0 then wait = math.ceil((left + 1 - (burst - debt)) * length / limit) end
              redis.call('hset', key, 'debt', string.format('%.17g', debt),
                'at', string.format('%.0f', math.max(now, fields['at'] or now)), 'n:' .. me, 1)
              redis.call('pexpire', key, math.ceil(debt * length / limit / 1000) + 60000)
            end
            answers[#answers + 1] = {grant, left, wait, at}
          end
        end
        return answers
        """;

    // A cell is written only by who has seen it as it is: its base by name, and its last write by number.
    public const string Cells = """
        local key = KEYS[1]
        local generation = redis.call('hget', key, 'g') or ''
        local version = redis.call('hget', key, 'v') or '0'
        if ARGV[1] == generation and ARGV[2] == version then
          if ARGV[3] ~= '' then redis.call('hset', key, 'g', ARGV[3], 'b', ARGV[4]) end
          for i = 8, #ARGV do redis.call('hdel', key, 's:' .. ARGV[i]) end
          if ARGV[5] ~= '' then redis.call('hset', key, 's:' .. ARGV[5], ARGV[6]) end
          local written = redis.call('hincrby', key, 'v', 1)
          redis.call('pexpire', key, ARGV[7])
          return {1, tostring(written)}
        end
        local answer = {0, version, generation, ''}
        if ARGV[1] ~= generation then answer[4] = redis.call('hget', key, 'b') or '' end
        local all = redis.call('hgetall', key)
        for f = 1, #all, 2 do
          if string.sub(all[f], 1, 2) == 's:' then
            answer[#answer + 1] = string.sub(all[f], 3)
            answer[#answer + 1] = all[f + 1]
          end
        end
        return answer
        """;
}
