// What a client may know of the exports: the seam between the protocol and whoever holds devices.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nbd/meta_context.h"
#include "nbd/replies.h"

namespace coffer::nbd {

struct Export {
  std::string name;
  std::string description;
  std::uint64_t size;
  std::uint32_t preferred_block_bytes;
  bool read_only;
  /// What BLOCK_STATUS may be asked for; outlives every connection.
  std::vector<const MetaContext*> meta_contexts = {&BaseAllocation()};
};

enum class ContextsSelected { kNone, kSome };

/// The exports behind one listener. Asked during negotiation only.
class ExportDirectory {
 public:
  virtual ~ExportDirectory() = default;
  /// Decides itself whether the empty name means anything here.
  [[nodiscard]] virtual std::optional<Export> Find(std::string_view name) const = 0;
  [[nodiscard]] virtual std::vector<Export> List() const = 0;
  /// FORCEDTLS: nothing is told before STARTTLS. Without it STARTTLS is refused.
  [[nodiscard]] virtual bool needs_tls() const { return false; }
};

/// The transmission flags for `e`. All connections of a device share its Flush, so one connection's
/// FLUSH covers every write answered on any other: CAN_MULTI_CONN. Zeroing costs a map entry,
/// whatever its length: FAST_ZERO. Reads need not be fragmented: DF, where replies come in chunks.
/// `contexts`: some are selected on `e`; with extended headers each request may choose among them.
[[nodiscard]] std::uint16_t TransmissionFlags(const Export& e, ReplyStyle style,
                                              ContextsSelected contexts);

}  // namespace coffer::nbd
