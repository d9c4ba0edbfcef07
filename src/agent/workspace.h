#pragma once

#include <string>

#include "agent/environment.h"
#include "api/job_spec.h"
#include "objstore/object_store.h"

namespace buoy::agent {

// The machine's directories before a job's process starts. Worker thread.

// Makes work/ and inputs/ ready for `job`. What another job left in work/ is removed; what an earlier attempt
// of the same job left there stays, as a cache.
Status openWorkspace(const MachinePaths& paths, JobId job, Epoch epoch);
// Whether this epoch of the job was begun here before, by an agent that has ended since. Any thread.
bool wasBegun(const MachinePaths& paths, JobId job, Epoch epoch);
// Puts the files of the manifest (blob `source`; empty: none) into work/. Files that have the right content
// are left. Every hash is checked.
Status fetchSources(const MachinePaths& paths, objstore::ObjectStore& store, const std::string& source);
// Without fsync: for files that matter only while this machine lives.
Status replaceFile(const std::string& path, std::string_view content);
// Removes what is in a directory, and makes it if it is missing.
Status emptyDirectory(const std::string& path);

}  // namespace buoy::agent
