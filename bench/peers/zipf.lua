-- Keys as a busy day has them: the k-th of N is called in proportion to k^-s. wrk -s zipf.lua URL -- N s SEED
local count, cumulated, before, after
function init(args)
  count = tonumber(args[1])
  local exponent, sum = tonumber(args[2]), 0
  cumulated = {}
  for k = 1, count do
    sum = sum + k ^ -exponent
    cumulated[k] = sum
  end
  wrk.headers["apikey"] = "key_?"
  local text = wrk.format()
  local at = text:find("key_?", 1, true)
  before, after = text:sub(1, at + 3), text:sub(at + 5)
  math.randomseed(tonumber(args[3]))
end

function request()
  local at, low, high = math.random() * cumulated[count], 1, count
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cumulated[middle] < at then low = middle + 1 else high = middle end
  end
  return before .. 2 * low .. after
end
