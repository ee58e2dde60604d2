#include "nbd/meta_context.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::nbd {
namespace {

class Allocation final : public MetaContext {
 public:
  [[nodiscard]] std::string_view name() const override { return "base:allocation"; }

  [[nodiscard]] Result<std::vector<StatusRun>> Status(block::BlockDevice& device,
                                                      std::uint64_t offset, std::uint64_t length,
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
        runs.back().length += bytes;
      } else if (runs.size() < count_max) {
        runs.push_back({bytes, flags});
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

Result<Bytes> StatusReply(block::BlockDevice& device, const std::vector<SelectedContext>& selected,
                          const ReplyTo& to, const StatusQuestion& question) {
  const std::size_t count_max = question.flags & kCommandRequireOne ? 1 : kStatusRunsMax;
  const std::uint64_t length = to.style == ReplyStyle::kExtended
                                   ? question.length
                                   : std::min(question.length, kStatusBytesMax);
  std::vector<SelectedContext> wanted;
  for (std::size_t i = 0; i < selected.size(); ++i) {
    if (question.contexts >> i & 1) wanted.push_back(selected[i]);
  }
  CHECK(!wanted.empty());
  Bytes reply;
  for (const SelectedContext& asked : wanted) {
    ASSIGN_OR_RETURN(const std::vector<StatusRun> runs,
                     asked.context->Status(device, to.offset, length, count_max));
    if (runs.empty()) {
      return Fail(ErrorCode::kIoError,
                  Concat("nothing is known of ", length, " bytes at ", to.offset));
    }
    AppendStatusChunk(reply, to, asked.id, runs,
                      &asked == &wanted.back() ? LastChunk::kYes : LastChunk::kNo);
  }
  return reply;
}

}  // namespace coffer::nbd
