-- What wrk measured, on one line, in microseconds.
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("measured %d %d %d %.1f %.1f\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
