// buoy ls: list buckets, prefixes and objects.
#include <memory>

#include "api/json_writer.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/render/times.h"
#include "cli/transfer/args.h"
#include "cli/transfer/place.h"
#include "objstore/transfer/s3_listing.h"

namespace buoy::cli {
namespace {

using objstore::s3::ListPage;
using objstore::s3::Object;

struct LsFlags {
  StoreFlags store;
  std::string place;
  bool recursive = false, human = false, summarize = false, json = false;
};

class Listing {
 public:
  Listing(const Context& context, const LsFlags& flags) : context_(context), flags_(flags) {}

  void addPage(const ListPage& page) {
    for (const std::string& prefix : page.prefixes) addPrefix(prefix);
    for (const Object& object : page.objects) addObject(object);
    context_.print(text_);
    text_.clear();
  }

  void summarize() {
    const std::string size = sizeOf(bytes_);
    if (flags_.json) {
      api::JsonWriter(text_).beginObject().field("objects", objects_).field("bytes", bytes_).endObject();
      text_ += "\n";
    } else {
      text_ += strCat({"\nTotal Objects: ", std::to_string(objects_), "\n   Total Size: ", size, "\n"});
    }
    context_.print(text_);
    text_.clear();
  }

  bool empty() const { return objects_ == 0 && prefixes_ == 0; }

 private:
  void addPrefix(const std::string& prefix) {
    ++prefixes_;
    if (flags_.json) {
      api::JsonWriter(text_).beginObject().field("prefix", prefix).endObject();
      text_ += "\n";
      return;
    }
    const auto slash = prefix.size() < 2 ? std::string::npos : prefix.rfind('/', prefix.size() - 2);
    text_ += strCat({pad("PRE", 30, Align::right), " ",
                     cleaned(prefix.substr(slash == std::string::npos ? 0 : slash + 1)), "\n"});
  }

  void addObject(const Object& object) {
    ++objects_;
    bytes_ += object.size;
    if (flags_.json) {
      api::JsonWriter(text_)
          .beginObject()
          .field("key", object.key)
          .field("size", object.size)
          .field("modified", object.modified)
          .field("etag", object.etag)
          .endObject();
      text_ += "\n";
      return;
    }
    const std::string name = flags_.recursive ? object.key : object.key.substr(object.key.rfind('/') + 1);
    text_ += strCat({localTime(object.modified), " ", pad(sizeOf(object.size), 10, Align::right), " ",
                     cleaned(name), "\n"});
  }

  std::string sizeOf(std::uint64_t bytes) const {
    return flags_.human ? formatByteCount(ByteCount{bytes}) : std::to_string(bytes);
  }

  const Context& context_;
  const LsFlags& flags_;
  std::string text_;
  std::uint64_t objects_ = 0, prefixes_ = 0, bytes_ = 0;
};

int listBuckets(const Context& context, const LsFlags& flags, objstore::s3::Client& client) {
  const auto buckets = client.listBuckets({});
  if (!buckets) return context.fail(buckets.error());
  std::string text;
  for (const std::string& bucket : *buckets) {
    if (flags.json) {
      api::JsonWriter(text).beginObject().field("bucket", bucket).endObject();
      text += "\n";
    } else {
      text += bucket + "\n";
    }
  }
  context.print(text);
  return 0;
}

int runLs(const Context& context, const LsFlags& flags) {
  const bool all = flags.place.empty() || flags.place == "s3://";
  Result<Place> place = all ? Place{} : parseRemote(flags.place, false);
  if (!place) return context.fail(place.error());
  auto client = openStore(flags.store);
  if (!client) return context.fail(client.error());
  if (all) return listBuckets(context, flags, **client);
  Listing listing(context, flags);
  objstore::S3Pages pages(*client, place->bucket,
                          {.prefix = place->only, .delimiter = flags.recursive ? "" : "/"}, {});
  ListPage page;
  while (true) {
    const auto more = pages.next(page);
    if (!more) return context.fail(more.error());
    if (!*more) break;
    listing.addPage(page);
  }
  if (flags.summarize) listing.summarize();
  // A bucket may be empty; what was asked for by name should be there.
  if (listing.empty() && !place->only.empty())
    return context.fail({ErrorCode::not_found, "nothing is at " + flags.place, false});
  return 0;
}

}  // namespace

void addLs(Command& root) {
  auto flags = std::make_shared<LsFlags>();
  Command& command = root.add("ls", "List buckets, prefixes and objects of S3");
  command.optionalArgument("PLACE", flags->place, "s3://bucket/prefix; the buckets if it is left out");
  command.flag("--recursive,-r", flags->recursive, "everything below it, with whole keys");
  command.flag("--human-readable", flags->human, "sizes as in 1.5 GiB");
  command.flag("--summarize", flags->summarize, "the number and size of all at the end");
  command.flag("--json", flags->json, "print one JSON object for each");
  addStoreOptions(command, flags->store);
  command.action = [flags](Context& context) { return runLs(context, *flags); };
}

}  // namespace buoy::cli
