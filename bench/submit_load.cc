// submit_load ENDPOINT CLIENTS REQUESTS [get]: so many submits from so many connections, each sent when the
// one before it was answered, so that an answer means that the job is durable. Prints one JSON object. With
// `get` it asks for GET /v1/server instead: the same traffic without the database, as the floor.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "net/http.h"

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  if (argc < 4) {
    std::fprintf(stderr, "usage: submit_load ENDPOINT CLIENTS REQUESTS [get]\n");
    return 2;
  }
  const auto endpoint = buoy::net::parseEndpoint(argv[1]);
  if (!endpoint) {
    std::fprintf(stderr, "submit_load: %s\n", endpoint.error().message.c_str());
    return 2;
  }
  const auto clients = static_cast<std::size_t>(std::atoi(argv[2]));
  const auto requests = static_cast<std::size_t>(std::atoi(argv[3]));
  const bool only_get = argc > 4;

  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> failed{0};
  std::vector<std::vector<double>> latencies(clients);
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t c = 0; c < clients; ++c) {
      threads.emplace_back([&, c] {
        const auto client = buoy::net::makeClient(*endpoint, {});
        buoy::net::Request request;
        request.method = only_get ? "GET" : "POST";
        request.target = only_get ? "/v1/server" : "/v1/jobs";
        if (!only_get) request.headers.emplace_back("Content-Type", "application/json");
        for (std::size_t n = next.fetch_add(1); n < requests; n = next.fetch_add(1)) {
          if (!only_get) {
            request.body = R"({"spec":{"name":"load-)" + std::to_string(n) +
                           R"(","run":"python3 train.py --epochs 30","resources":{"cpus":1,"memory":"1GiB"},)"
                           R"("checkpoint":{"dir":"checkpoints","keep":3},"env":{"SEED":"7"}}})";
          }
          const auto sent = Clock::now();
          const auto response = client->send(request, std::chrono::seconds{30});
          latencies[c].push_back(std::chrono::duration<double, std::milli>(Clock::now() - sent).count());
          if (!response || response->status / 100 != 2) {
            if (failed.fetch_add(1) == 0) {
              std::fprintf(stderr, "submit_load: %s\n",
                           response ? response->body.c_str() : response.error().message.c_str());
            }
          }
        }
      });
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::vector<double> all;
  for (const auto& part : latencies) all.insert(all.end(), part.begin(), part.end());
  std::sort(all.begin(), all.end());
  const auto at = [&](double q) {
    return all.empty() ? 0.0 : all[static_cast<std::size_t>(q * static_cast<double>(all.size() - 1))];
  };
  std::printf(R"({"requests":%zu,"failed":%zu,"seconds":%.3f,"per_second":%.0f,"p50_ms":%.3f,"p99_ms":%.3f})"
              "\n",
              requests, failed.load(), seconds, static_cast<double>(requests) / seconds, at(0.5), at(0.99));
  return failed.load() == 0 ? 0 : 1;
}
