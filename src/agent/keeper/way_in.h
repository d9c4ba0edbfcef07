#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "agent/keeper/container_words.h"
#include "agent/keeper/desk.h"
#include "base/result.h"

// How somebody comes to a workspace on a machine of a cloud: over SSH, as the user that the image has for
// that.
namespace buoy::agent {

struct LoginUser {
  std::string name = "root";
  unsigned uid = 0, gid = 0;
};
// The first person of an /etc/passwd (uids from 1000 on, as login.defs has them) who lets keys in; root if
// nobody does. `has_keys` is asked with a home.
LoginUser loginUser(std::string_view passwd, const std::function<bool(const std::string& home)>& has_keys);
// Of this machine.
LoginUser loginUserHere();

// A program in the workspace's directory that is this one with the keeper's environment, as far as containers
// and AWS are concerned: what comes over SSH has another.
Status writeWayIn(const Desk& desk, const Environment& environment);

}  // namespace buoy::agent
