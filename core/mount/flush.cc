#include "core/mount/flush.h"

#include "core/base/process.h"

namespace coffer::mount {

void FlushByForce(const FileSystems& tools, const std::string& path, Unmounting& unmounting) {
  const std::string sync = tools.Find("sync");
  if (sync.empty()) {
    unmounting.lost = "what was last written at " + path +
                      " may be lost: sync (coreutils), which flushes it, is not installed";
    return;
  }
  const auto end = RunProgram(
      {sync, "-f", path}, {.limit = unmounting.how.patience, .gets_on = Advance(unmounting.how)});
  if (end.has_value() && end->ok()) return;
  unmounting.lost = "what was last written at " + path + " could not all be flushed and is lost: " +
                    (end.has_value() ? InOneLine(end->output) : end.error().message);
}

}  // namespace coffer::mount
