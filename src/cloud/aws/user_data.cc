#include "cloud/aws/user_data.h"

#include "base/strings.h"

namespace buoy::cloud::aws {
namespace {

constexpr std::size_t kMost = 16 * 1024;

constexpr const char* kHead = R"sh(#!/bin/sh
# Buoy: makes this machine one of its own. What happens is told in boot.log.
umask 077
root="${BUOY_ROOT:-/var/lib/buoy}"
mkdir -p "$root" && chmod 700 "$root" && cd "$root" || exit 1
exec >>"$root/boot.log" 2>&1
PATH="${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin:/usr/local/bin"
cat >end.sh <<'BUOY_END_OF_FILE'
#!/bin/sh
${BUOY_END:-poweroff} || poweroff -f || kill -TERM 1
BUOY_END_OF_FILE
chmod 700 end.sh
give_up() { echo "buoy: $1; this machine ends"; ./end.sh; exit 1; }
fetch() {
  if command -v curl >/dev/null; then curl -fsS --connect-timeout 10 --retry 3 -o "$2" "$1"
  else wget -q -T 30 -t 3 -O "$2" "$1"; fi
}
)sh";

constexpr const char* kFetch = R"sh(tries=0
until fetch "$url" agent.part && [ "$(sha256sum <agent.part | cut -c1-64)" = "$hash" ]; do
  tries=$((tries + 1))
  [ $tries -lt 8 ] || give_up "the agent cannot be fetched from the store"
  sleep $tries
done
chmod 700 agent.part && mv agent.part buoy-agent
)sh";

constexpr const char* kCommands =
    R"sh((umask 022 && sh -e "$root/commands.sh") || give_up "the pool's commands failed"
)sh";

// The agent's own codes are 0 to 4; anything else is a crash, after which it takes up its job again.
constexpr const char* kStart = R"sh(cat >run.sh <<'BUOY_END_OF_FILE'
#!/bin/sh
cd "$(dirname "$0")" || exit 1
# As systemd starts it: nobody else comes into this directory, and containers' users are to read what is theirs.
umask 022
. ./environment
trap 'kill "$agent"; wait "$agent"' TERM
while :; do
  ./buoy-agent boot --config boot.json & agent=$!
  wait "$agent"; code=$?
  [ $code -gt 4 ] || break
  sleep 1
done
echo "buoy: the agent has ended ($code)"
./end.sh
BUOY_END_OF_FILE
chmod 700 run.sh
if [ -d /run/systemd/system ]; then
  cat >/etc/systemd/system/buoy-agent.service <<BUOY_END_OF_FILE
[Unit]
Description=Buoy agent
Wants=network-online.target
After=network-online.target
[Service]
ExecStart=$root/run.sh
StandardOutput=append:$root/agent.log
StandardError=append:$root/agent.log
KillMode=mixed
TimeoutStopSec=110
OOMScoreAdjust=-500
[Install]
WantedBy=multi-user.target
BUOY_END_OF_FILE
  systemctl daemon-reload && systemctl enable --now --no-block buoy-agent || give_up "systemd does not start the agent"
else
  setsid ./run.sh </dev/null >>agent.log 2>&1 &
fi
)sh";

// A file with exactly this content: the word that ends it is none of its lines.
std::string file(const std::string& name, const std::string& content) {
  std::string word = "BUOY_END_OF_FILE";
  while (content.find(word) != std::string::npos) word += "_";
  return strCat(
      {"cat >", name, " <<'", word, "'\n", content, content.ends_with('\n') ? "" : "\n", word, "\n"});
}

}  // namespace

std::string shellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

Result<std::string> userDataScript(const UserData& data) {
  std::string variables;
  for (const auto& [name, value] : data.environment)
    variables += strCat({"[ -n \"$", name, "\" ] || export ", name, "=", shellQuoted(value), "\n"});
  std::string script = kHead;
  script += file("boot.json", data.boot_config);
  script += file("environment", variables);
  script +=
      strCat({"url=", shellQuoted(data.agent_url), "\nhash=", shellQuoted(data.agent_sha256), "\n", kFetch});
  if (!data.commands.empty()) script += file("commands.sh", data.commands) + kCommands;
  script += kStart;
  if (script.size() > kMost) {
    return fail(ErrorCode::invalid_argument,
                strCat({"the pool's commands are too long: all of what a machine is told at its start has ",
                        std::to_string(script.size()), " bytes, and EC2 takes 16384"}));
  }
  return script;
}

}  // namespace buoy::cloud::aws
