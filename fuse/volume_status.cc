#include "fuse/volume_status.h"

#include <optional>

#include "core/base/log.h"

namespace coffer::fuse {
namespace {

const char* NameOf(Image::Cache cache) {
  switch (cache) {
    case Image::Cache::kNone:
      return "none";
    case Image::Cache::kReads:
      return "reads";
    case Image::Cache::kWriteBack:
      return "writeback";
  }
  return "";
}

/// Volumes' names need no escapes in JSON; whoever else exports something gets what is safe.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const bool plain = c >= ' ' && c != '"' && c != '\\';
    quoted.push_back(plain ? c : '?');
  }
  return quoted + "\"";
}

}  // namespace

std::string StatusText(Image& image) {
  const std::optional<Image::Visit> visit = image.Enter();
  if (!visit) return "{}\n";
  const Image::Counters& counters = image.counters();
  return Concat(
      "{\n  \"volume\": ", Quoted(image.name()), ",\n  \"size_bytes\": ", visit->device().size(),
      ",\n  \"read_only\": ", image.read_only(), ",\n  \"kernel_cache\": \"", NameOf(image.cache()),
      "\",\n  \"open_files\": ", counters.open_files.load(),
      ",\n  \"reads\": ", counters.reads.load(),
      ",\n  \"bytes_read\": ", counters.bytes_read.load(),
      ",\n  \"writes\": ", counters.writes.load(),
      ",\n  \"bytes_written\": ", counters.bytes_written.load(),
      ",\n  \"flushes\": ", counters.flushes.load(), ",\n  \"trims\": ", counters.trims.load(),
      ",\n  \"zeroes\": ", counters.zeroes.load(), ",\n  \"errors\": ", counters.errors.load(),
      "\n}\n");
}

}  // namespace coffer::fuse
