#pragma once

#include <map>
#include <string>
#include <string_view>

#include "aws/ini_file.h"
#include "aws/settings.h"
#include "base/result.h"

namespace buoy::aws {

// Of AWS's environment: an empty variable counts as one that is not set.
std::string variable(const Environment& environment, const std::string& name);
// "true"/"1" and "false"/"0" in any case; anything else is invalid_argument naming `where`.
Result<bool> parseFlag(std::string_view text, const std::string& where);

struct Profile {
  std::string name;
  std::map<std::string, IniValue> values;  // of both files; those of the credentials file count
  std::map<std::string, IniValue> config_values, credentials_values;  // of each
  // Empty if it is not there.
  std::string value(const std::string& key) const;
  std::string nested(const std::string& key, const std::string& name) const;
};

// ~/.aws/config and ~/.aws/credentials, or where AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE say.
struct SharedFiles {
  std::string config_path, credentials_path;
  std::map<std::string, Profile> profiles;
  std::map<std::string, IniSection> services;  // [services NAME]

  // The "aws configure" name of a place, for messages: "profile 'x' (in FILE or FILE)".
  std::string place(const std::string& profile) const;
  // not_found if it is in neither file, except "default", which is empty then.
  Result<Profile> profile(const std::string& name) const;
};

// A file that is not there is empty. Sections other than profiles and services are ignored.
Result<SharedFiles> loadSharedFiles(const Environment& environment);

}  // namespace buoy::aws
