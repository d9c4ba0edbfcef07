#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace buoy::container {

// What the engine says while it pulls or builds: JSON objects, one after the other, in pieces that end
// anywhere. Lines for people go to `on_text`; the last error and the image's id are kept.
class Progress {
 public:
  explicit Progress(std::function<void(std::string_view)> on_text) : on_text_(std::move(on_text)) {}

  // internal: this is no progress, or a line of more than 1 MiB.
  Status take(std::string_view bytes);
  // After the last piece.
  Status finish();

  const std::string& error() const { return error_; }  // empty: none
  const std::string& imageId() const { return id_; }

 private:
  Status line(std::string_view text);

  std::function<void(std::string_view)> on_text_;
  std::string rest_, error_, id_, last_status_;
};

}  // namespace buoy::container
