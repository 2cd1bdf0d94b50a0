-- The benchmark's request: a small inference call, with a user id that changes from request to request.
--   wrk ... URL -- PATH DEPLOYMENTS PAUSE
-- %d in the path stands for the deployment, which changes too; PAUSE is in ms between an answer and the next request.
local path, deployments, pause = "/v2/models/loan/infer", 1, 0
local body = '{"inputs":[{"name":"features","datatype":"FP32","shape":[1,4],"data":[52000,0.31,7,12000]}]}'
local completion = '{"model":"loan","max_tokens":16,"temperature":0,"prompt":"income 52000, debt 0.31, 7 years, 12000"}'
local n = 0

init = function(args)
  path = args[1] or path
  deployments = tonumber(args[2] or deployments)
  pause = tonumber(args[3] or pause)
  if path:sub(1, 4) == "/v1/" then body = completion end
  if pause > 0 then delay = function() return pause end end
end

request = function()
  n = n + 1
  local target = deployments > 1 and path:format(n % deployments) or path
  return wrk.format("POST", target, {
    ["content-type"] = "application/json", ["x-user-id"] = "user-" .. (n % 5000), ["user-agent"] = "bench",
  }, body)
end
