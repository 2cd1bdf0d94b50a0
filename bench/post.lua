-- The benchmark's request: a small inference call, with a user id that changes from request to request.
local body = '{"inputs":[{"name":"features","datatype":"FP32","shape":[1,4],"data":[52000,0.31,7,12000]}]}'
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/v2/models/loan/infer", {
    ["content-type"] = "application/json", ["x-user-id"] = "user-" .. (n % 5000), ["user-agent"] = "bench",
  }, body)
end
