// MetaContext: one thing that BLOCK_STATUS can tell about an export ("Metadata querying"). An
// export lists those it offers; a client selects some of them by name and is given an id for each.
// So that others (qemu:dirty-bitmap:NAME) come as one more implementation, in the list of the
// exports that have it, and touch nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/block/block_device.h"
#include "nbd/replies.h"

namespace coffer::nbd {

/// What one reply tells at most of each context: 8 KiB on the wire …
inline constexpr std::size_t kStatusRunsMax = 1024;
/// … and how much of the export, where lengths have 32 bits. With extended headers the device alone
/// says how far it looks.
inline constexpr std::uint64_t kStatusBytesMax = 1u << 30;

class MetaContext {
 public:
  virtual ~MetaContext() = default;
  /// "namespace:leaf".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// From `offset` on, without gaps, at least one and at most `count_max` runs, none of them empty;
  /// together at most `length`. May wait. REQUIRES: length > 0, in bounds when the request came.
  [[nodiscard]] virtual Result<std::vector<StatusRun>> Status(block::BlockDevice& device,
                                                              std::uint64_t offset,
                                                              std::uint64_t length,
                                                              std::size_t count_max) const = 0;
};

/// "base:allocation", which every export has: flags kStateHole and kStateZero.
[[nodiscard]] const MetaContext& BaseAllocation();

struct SelectedContext {
  std::uint32_t id;  // as the client knows it
  const MetaContext* context;
};

/// Whether `query` of LIST_META_CONTEXT asks for `name`: by the name itself, or by its namespace
/// with an empty leaf.
[[nodiscard]] bool QueryLists(std::string_view query, std::string_view name);

/// What a BLOCK_STATUS asks.
struct StatusQuestion {
  std::uint64_t length;
  std::uint16_t flags;
  std::uint64_t contexts;  // bit i: wants the i-th that was selected; at least one of them
};

/// The reply to it: one chunk for each context wanted of those `selected`.
[[nodiscard]] Result<Bytes> StatusReply(block::BlockDevice& device,
                                        const std::vector<SelectedContext>& selected,
                                        const ReplyTo& to, const StatusQuestion& question);

}  // namespace coffer::nbd
