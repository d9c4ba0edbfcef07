#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/views.h"
#include "base/clock.h"
#include "control/access.h"
#include "control/access_keys.h"
#include "control/agent_hub.h"
#include "control/catalog.h"
#include "control/feed.h"
#include "control/log_store.h"
#include "control/paths.h"
#include "control/router.h"
#include "control/serial_workers.h"
#include "control/timer.h"
#include "control/writer.h"
#include "objstore/object_store.h"
#include "store/store.h"

namespace buoy::control {

// What the routes work with. Everything outlives the HTTP server.
struct Services {
  const Paths& paths;
  const Clock& clock;
  store::Store& store;
  Writer& writer;
  AgentHub& hub;
  LogStore& logs;
  Feed& feed;
  Catalog& catalog;
  Access& access;
  AccessKeys& keys;
  objstore::ObjectStore& objects;
  SerialWorkers& io;  // for what may block on a disk
  Timer& timer;
  std::string cluster;
  std::vector<std::string> providers;          // known names
  std::vector<std::string> storage_providers;  // those with volumes and shared file systems
  std::function<api::ServerView()> describeServer;
  std::function<std::string()> fingerprint;  // of the TLS certificate; empty: none
  std::function<void()> requestStop;
  const engine::PlacementPolicy& policy;
  const engine::Settings& settings;
};

// Each adds its part of the API; `services` must outlive the router.
void addServerRoutes(Router& router, Services& services);
void addJobRoutes(Router& router, Services& services);
void addStreamRoutes(Router& router, Services& services);
void addMachineRoutes(Router& router, Services& services);
void addWhyRoutes(Router& router, Services& services);
void addPoolRoutes(Router& router, Services& services);
void addKeyRoutes(Router& router, Services& services);
void addBlobRoutes(Router& router, Services& services);
void addAgentRoutes(Router& router, Services& services);

// "j42", or the newest job of that name (older than `before`, if that is one), or "42" where none has it.
// not_found.
Result<store::JobRow> findJob(store::Store& store, const std::string& word, JobId before = {});

}  // namespace buoy::control
