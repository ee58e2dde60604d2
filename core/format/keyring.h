// The keyring, sealed inside the key header: one random master key per key epoch, and what people
// want to know about the slots but the provider need not.
//   parent 32 | features 3 x u64 | epoch count varint | {epoch u32 | created i64 | master key 32}
//   | slot count varint | {slot u8 | created i64 | host name | label} | extensions
//   | 0x80 and zeros up to a multiple of 512, so that its length tells little
// Both ways go through SecretBytes: no key byte is left in ordinary memory.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/format/extension.h"
#include "core/format/limits.h"

namespace coffer::format {

struct KeyEpoch {
  std::uint32_t epoch;        // from 1, ascending
  SecretBytes master_key;     // 32 bytes
  std::int64_t created_unix;  // seconds
};

struct SlotInfo {
  std::uint8_t slot;  // 0 … 15
  std::int64_t created_unix;
  std::string host_name;  // machine that made it
  std::string label;
  bool operator==(const SlotInfo&) const = default;
};

struct Keyring {
  ObjectHash parent;  // of the key header before, null in the first
  Features features;
  std::vector<KeyEpoch> epochs;  // at least one; the last is current
  std::vector<SlotInfo> slots;
  Extensions extensions;
};

[[nodiscard]] SecretBytes Encode(const Keyring& keyring);
[[nodiscard]] Result<Keyring> DecodeKeyring(ByteView bytes);

}  // namespace coffer::format
