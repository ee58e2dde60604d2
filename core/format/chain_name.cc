#include "core/format/chain_name.h"

namespace coffer::format {
namespace {

constexpr std::size_t kRevisionDigits = 16;

bool IsLowerHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string HeadPrefix(const VolumeId& volume) {
  std::string prefix(kHeadsPrefix);
  prefix += volume.ToString();
  prefix += '/';
  return prefix;
}

std::string ChainName(std::string_view prefix, std::uint64_t seq) {
  const std::uint64_t revision = ~seq;
  std::string name(prefix);
  for (int shift = 60; shift >= 0; shift -= 4)
    name += "0123456789abcdef"[(revision >> shift) & 0xf];
  return name;
}

std::optional<std::uint64_t> ChainSequence(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  if (name.size() != kRevisionDigits || !IsLowerHex(name)) return std::nullopt;
  std::uint64_t revision = 0;
  for (const char digit : name) {
    const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    revision = revision << 4 | static_cast<std::uint64_t>(value);
  }
  const std::uint64_t seq = ~revision;
  if (seq == 0) return std::nullopt;
  return seq;
}

std::string PackName(const PackId& pack) {
  const std::string hex = pack.ToString();
  std::string name(kPacksPrefix);
  name.append(hex, 0, 2);
  name += '/';
  name += hex;
  return name;
}

std::optional<PackId> PackIdFromName(std::string_view name) {
  constexpr std::size_t kHexDigits = 2 * PackId::kBytes;
  if (name.size() != kPacksPrefix.size() + 3 + kHexDigits) return std::nullopt;
  PackId pack;
  if (!FromHex(name.substr(name.size() - kHexDigits), pack.bytes) || PackName(pack) != name)
    return std::nullopt;
  return pack;
}

}  // namespace coffer::format
