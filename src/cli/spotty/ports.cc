#include "cli/spotty/ports.h"

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::cli {
namespace {

// At localhost as the file says, or as the container has it.
int wantedHere(const SpottyChoice& choice, int container) {
  for (const auto& port : choice.project.container(choice.parameters.container_name)->ports) {
    if (port.container == container && port.host != 0) return port.host;
  }
  return container;
}

}  // namespace

void openPorts(const Context& context, const SpottyChoice& choice, const Reach& reach) {
  if (!declaresPorts(choice)) return;
  const auto listed = askProgram(reach.workspace("ports", {}, false));
  if (!listed) return context.note(strCat({"the ports are not known: ", listed.error().message, "\n"}));
  for (const std::string_view line : split(*listed, '\n')) {
    const auto words = split(line, ' ');
    const auto container = parseNumber<int>(words.front());
    const auto machine = words.size() == 2 ? parseNumber<int>(words[1]) : std::nullopt;
    if (!container || !machine) continue;
    const auto here = *machine == 0 ? Result<int>(fail(ErrorCode::not_found, "it is not published"))
                                    : reach.forward(*machine, wantedHere(choice, *container));
    if (here)
      context.print(strCat({"Port ", std::to_string(*container),
                            " of the container: http://localhost:", std::to_string(*here), "\n"}));
    else
      context.note(strCat({"Port ", std::to_string(*container),
                           " of the container cannot be reached: ", here.error().message, "\n"}));
  }
}

}  // namespace buoy::cli
