-- For runs with many keys: each request brings one of key_2, key_4, ... key_2N at random. wrk -s keys.lua URL -- N
local count, before, after
function init(args)
  count = tonumber(args[1])
  wrk.headers["apikey"] = "key_?"
  local text = wrk.format()
  local at = text:find("key_?", 1, true)
  before, after = text:sub(1, at + 3), text:sub(at + 5)
  math.randomseed(1)
end

function request() return before .. 2 * math.random(count) .. after end
