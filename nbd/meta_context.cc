#include "nbd/meta_context.h"

#include <algorithm>

#include "core/base/log.h"

namespace coffer::nbd {
namespace {

class Allocation final : public MetaContext {
 public:
  [[nodiscard]] std::string_view name() const override { return "base:allocation"; }

  [[nodiscard]] Result<std::vector<StatusRun>> Status(block::BlockDevice& device,
                                                      std::uint64_t offset, std::uint32_t length,
                                                      std::size_t count_max) const override {
    ASSIGN_OR_RETURN(const std::vector<block::Extent> extents,
                     device.Extents(offset, length, count_max));
    std::vector<StatusRun> runs;
    std::uint64_t left = length;
    for (const block::Extent& extent : extents) {
      const std::uint64_t bytes = std::min(extent.length, left);
      if (bytes == 0) continue;
      left -= bytes;
      const std::uint32_t flags =
          (extent.hole ? kStateHole : 0u) | (extent.reads_zero ? kStateZero : 0u);
      if (!runs.empty() && runs.back().flags == flags) {
        runs.back().length += static_cast<std::uint32_t>(bytes);
      } else if (runs.size() < count_max) {
        runs.push_back({static_cast<std::uint32_t>(bytes), flags});
      } else {
        break;
      }
    }
    return runs;
  }
};

}  // namespace

const MetaContext& BaseAllocation() {
  static const Allocation allocation;
  return allocation;
}

bool QueryLists(std::string_view query, std::string_view name) {
  if (query == name) return true;
  return !query.empty() && query.back() == ':' && query.find(':') == query.size() - 1 &&
         name.starts_with(query);
}

Result<Bytes> StatusReply(block::BlockDevice& device, const std::vector<SelectedContext>& contexts,
                          std::uint64_t cookie, std::uint64_t offset, std::uint32_t length,
                          std::uint16_t flags) {
  const std::size_t count_max = flags & kCommandRequireOne ? 1 : kStatusRunsMax;
  Bytes reply;
  for (const SelectedContext& selected : contexts) {
    ASSIGN_OR_RETURN(
        const std::vector<StatusRun> runs,
        selected.context->Status(device, offset, std::min(length, kStatusBytesMax), count_max));
    if (runs.empty()) {
      return Fail(ErrorCode::kIoError,
                  Concat("nothing is known of ", length, " bytes at ", offset));
    }
    AppendStatusChunk(reply, cookie, selected.id, runs,
                      &selected == &contexts.back() ? LastChunk::kYes : LastChunk::kNo);
  }
  return reply;
}

}  // namespace coffer::nbd
