#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "objstore/transfer/pool.h"

namespace buoy::objstore {

// The parts 0 … count-1 of one file, several at once, on the pool: each that ends begins the next, so that
// memory does not grow with the file. After an error no other begins. `finished` is called once, on a thread
// of the pool.
class Parts : public std::enable_shared_from_this<Parts> {
 public:
  using Task = std::function<Status(std::size_t part)>;
  static void run(TransferPool& pool, std::size_t count, std::size_t at_once, Task task,
                  std::function<void(Status)> finished);

 private:
  Parts(TransferPool& pool, std::size_t count, Task task, std::function<void(Status)> finished)
      : pool_(pool), count_(count), task_(std::move(task)), finished_(std::move(finished)) {}
  void step();

  TransferPool& pool_;
  const std::size_t count_;
  const Task task_;
  const std::function<void(Status)> finished_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::size_t runners_ = 0;
  Status first_error_;
};

}  // namespace buoy::objstore
