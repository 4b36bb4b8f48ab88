-- What wrk asks: with the arguments PROMPT_TOKENS OUTPUT_TOKENS SEED, completions of prompts that are
-- never alike; without, the address as it is. At the end the latency's 95th percentile.

local prompt_tokens, output_tokens

function init(arguments)
  prompt_tokens, output_tokens = tonumber(arguments[1]), tonumber(arguments[2])
  if prompt_tokens then math.randomseed(tonumber(arguments[3])) end
end

function request()
  if not prompt_tokens then return wrk.format("GET") end
  local tokens = {}
  for i = 1, prompt_tokens do tokens[i] = math.random(1000, 29999) end
  local body = string.format('{"prompt":[%s],"max_tokens":%d,"temperature":0,"ignore_eos":true}',
                             table.concat(tokens, ","), output_tokens)
  return wrk.format("POST", "/v1/completions", {["Content-Type"] = "application/json"}, body)
end

function done(summary, latency, requests)
  io.write(string.format("p95 %.6f s\n", latency:percentile(95) / 1e6))
end
