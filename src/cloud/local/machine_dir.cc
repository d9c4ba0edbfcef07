#include "cloud/local/machine_dir.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "os/fd.h"
#include "os/files.h"

namespace buoy::cloud::local {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr std::string_view kTemporaryMark = ".tmp-";
constexpr int kFirstExitCode = 20;  // away from what shells, signals and sanitizers use

std::string_view name(engine::GoneReason reason) {
  switch (reason) {
    case engine::GoneReason::reclaimed:
      return "reclaimed";
    case engine::GoneReason::terminated:
      return "terminated";
    case engine::GoneReason::vanished:
      return "vanished";
  }
  return "vanished";
}

std::string_view name(Isolation isolation) {
  switch (isolation) {
    case Isolation::pid_namespace:
      return "pid_namespace";
    case Isolation::user_namespace:
      return "user_namespace";
    case Isolation::session:
      return "session";
  }
  return "session";
}

Isolation isolationOf(const std::string& text) {
  if (text == "pid_namespace") return Isolation::pid_namespace;
  if (text == "user_namespace") return Isolation::user_namespace;
  return Isolation::session;
}

Json jsonOf(const std::optional<Appointment>& appointment) {
  if (!appointment) return nullptr;
  return {{"after_us", appointment->after.count()},
          {"notice_us", appointment->notice ? Json(appointment->notice->count()) : Json(nullptr)}};
}

std::optional<Appointment> appointmentOf(const Json& json) {
  if (json.is_null()) return std::nullopt;
  Appointment appointment{Duration{json.at("after_us").get<std::int64_t>()}, std::nullopt};
  if (!json.at("notice_us").is_null())
    appointment.notice = Duration{json.at("notice_us").get<std::int64_t>()};
  return appointment;
}

// Strings in these files come from this program or from paths; bytes that are no UTF-8 must not throw.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The one place where the library's exceptions end.
template <class Read>
auto read(std::string_view text, const char* what, Read&& parse) -> Result<decltype(parse(Json()))> {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object())
    return fail(ErrorCode::data_loss, std::string(what) + ": no JSON object");
  try {
    return parse(json);
  } catch (const Json::exception& error) {
    return fail(ErrorCode::data_loss, std::string(what) + ": " + error.what());
  }
}

}  // namespace

std::string_view isolationText(Isolation isolation) {
  switch (isolation) {
    case Isolation::pid_namespace:
      return "PID namespace";
    case Isolation::user_namespace:
      return "user and PID namespace";
    case Isolation::session:
      return "session, found again by environment marker";
  }
  return "";
}

int exitCodeOf(engine::GoneReason reason) {
  return kFirstExitCode + static_cast<int>(reason);
}

std::optional<engine::GoneReason> reasonOf(int exit_code) {
  for (const auto reason :
       {engine::GoneReason::reclaimed, engine::GoneReason::terminated, engine::GoneReason::vanished}) {
    if (exit_code == exitCodeOf(reason)) return reason;
  }
  return std::nullopt;
}

std::string toJson(const MachineRecord& record) {
  return dump({{"version", kVersion},
               {"cluster", record.cluster},
               {"machine", record.machine.toString()},
               {"pool", record.pool},
               {"type", record.type},
               {"spot", record.market == engine::Market::spot},
               {"provider_config", record.provider_config},
               {"order", record.order},
               {"agent", record.agent_path},
               {"podman", record.podman},
               {"milli_cpus", record.limits.milli_cpus},
               {"memory", record.limits.memory.value},
               {"isolation", name(record.isolation)},
               {"cgroups",
                {{"cpu", record.cgroups.cpu_parent},
                 {"cpu_v2", record.cgroups.cpu_v2},
                 {"memory", record.cgroups.memory_parent},
                 {"memory_v2", record.cgroups.memory_v2}}},
               {"appointment", jsonOf(record.appointment)}});
}

Result<MachineRecord> parseMachineRecord(std::string_view text) {
  return read(text, "machine.json", [](const Json& json) {
    MachineRecord record;
    record.cluster = json.at("cluster").get<std::string>();
    record.machine = MachineId::parse(json.at("machine").get<std::string>()).value_or(MachineId{});
    record.pool = json.at("pool").get<std::string>();
    record.type = json.at("type").get<std::string>();
    record.market = json.at("spot").get<bool>() ? engine::Market::spot : engine::Market::on_demand;
    record.provider_config = json.at("provider_config").get<std::string>();
    record.order = json.at("order").get<std::uint64_t>();
    record.agent_path = json.at("agent").get<std::string>();
    record.podman = json.value("podman", "");
    record.limits.milli_cpus = json.at("milli_cpus").get<int>();
    record.limits.memory.value = json.at("memory").get<std::uint64_t>();
    record.isolation = isolationOf(json.at("isolation").get<std::string>());
    const Json& cgroups = json.at("cgroups");
    record.cgroups.cpu_parent = cgroups.at("cpu").get<std::string>();
    record.cgroups.cpu_v2 = cgroups.at("cpu_v2").get<bool>();
    record.cgroups.memory_parent = cgroups.at("memory").get<std::string>();
    record.cgroups.memory_v2 = cgroups.at("memory_v2").get<bool>();
    record.appointment = appointmentOf(json.at("appointment"));
    return record;
  });
}

std::string toJson(const HostRecord& record) {
  return dump({{"isolation", record.isolation}, {"cgroups", record.cgroups}, {"agent", record.agent}});
}

Result<HostRecord> parseHostRecord(std::string_view text) {
  return read(text, "host.json", [](const Json& json) {
    return HostRecord{json.at("isolation").get<std::string>(),
                      json.at("cgroups").get<std::vector<std::string>>(),
                      json.at("agent").get<std::string>()};
  });
}

std::string toJson(const ExitRecord& record) {
  return dump({{"reason", name(record.reason)}, {"detail", record.detail}, {"at", formatTime(record.at)}});
}

Result<ExitRecord> parseExitRecord(std::string_view text) {
  return read(text, "exit.json", [](const Json& json) {
    ExitRecord record;
    const auto reason = json.at("reason").get<std::string>();
    if (reason == "reclaimed") record.reason = engine::GoneReason::reclaimed;
    if (reason == "terminated") record.reason = engine::GoneReason::terminated;
    record.detail = json.at("detail").get<std::string>();
    record.at = parseTime(json.at("at").get<std::string>()).value_or(Time{});
    return record;
  });
}

std::string toJson(const HostRequest& request) {
  return dump({{"kind", request.kind == HostRequest::Kind::reclaim ? "reclaim" : "reschedule"},
               {"appointment", jsonOf(request.appointment)}});
}

Result<HostRequest> parseHostRequest(std::string_view text) {
  return read(text, "request", [](const Json& json) {
    const bool reclaim = json.at("kind").get<std::string>() == "reclaim";
    return HostRequest{reclaim ? HostRequest::Kind::reclaim : HostRequest::Kind::reschedule,
                       appointmentOf(json.at("appointment"))};
  });
}

std::string noticeJson(Time deadline) {
  return dump({{"deadline", formatTime(deadline)}});
}

Status replaceFile(const std::string& path, std::string_view content, unsigned mode) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary = path + std::string(kTemporaryMark) + std::to_string(::getpid()) + "-" +
                                std::to_string(counter.fetch_add(1, std::memory_order_relaxed));
  BUOY_TRY(os::Fd fd, os::openFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode));
  Status written = os::writeAll(fd.get(), content);
  if (written && std::rename(temporary.c_str(), path.c_str()) != 0)
    written = failErrno(errno, "rename to " + path);
  if (!written) ::unlink(temporary.c_str());
  return written;
}

bool isTemporary(std::string_view name) {
  return name.find(kTemporaryMark) != std::string_view::npos;
}

}  // namespace buoy::cloud::local
