// What every structure with a clear beginning starts with: magic 8 | version u16 | suite u16.
// Shared by the decoders of this folder.
#pragma once

#include <string_view>

#include "core/format/wire.h"

namespace coffer::format {

inline constexpr std::size_t kEnvelopeBytes = 8 + 2 + 2;

/// REQUIRES: magic.size() == 8.
void WriteEnvelope(Writer& out, std::string_view magic);
/// Other magic or version 0 is corrupt, a version above ours or another suite is newer.
void ReadEnvelope(Reader& in, std::string_view magic);

}  // namespace coffer::format
