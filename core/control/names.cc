#include "core/control/names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <limits>
#include <optional>

#include "core/base/log.h"

namespace coffer::control {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool IsNameCharacter(char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; }

constexpr const char* kNameHint =
    "a name has 1 to 63 letters, digits, \".\", \"_\" and \"-\", and begins with a letter or digit";
constexpr const char* kSizeHint =
    "give a multiple of 4096 bytes, at most 16T, as 20G or 1.5G: K, M, G, T and P are powers of "
    "1024, with or without B or iB";

/// "", "K", "k", "KB", "kiB" … "P", "PiB", "B".
Result<unsigned> ShiftOf(std::string_view unit, std::string_view text) {
  constexpr std::string_view kLetters = "KMGTP";
  if (unit.empty() || unit == "B" || unit == "b") return 0U;
  const std::size_t letter =
      kLetters.find(static_cast<char>(unit.front() & ~0x20));  // upper case of a letter
  const std::string_view rest = unit.substr(1);
  const bool known = rest.empty() || rest == "B" || rest == "b" || rest == "iB" || rest == "ib";
  if (letter == std::string_view::npos || !known || !IsAlphanumeric(unit.front())) {
    return Fail(ErrorCode::kInvalidArgument,
                "size " + Quoted(text) + ": unknown unit " + Quoted(unit), kSizeHint);
  }
  return static_cast<unsigned>(10 * (letter + 1));
}

constexpr std::size_t kFractionDigitsMax = 9;

/// `digits` behind the point, of `1 << shift`, rounded down; nothing without any, or with too many.
std::optional<std::uint64_t> FractionOf(std::string_view digits, unsigned shift) {
  if (digits.empty() || digits.size() > kFractionDigitsMax) return std::nullopt;
  std::uint64_t rest = 0;
  std::uint64_t whole = 1;
  for (const char c : digits) {
    rest = 10 * rest + static_cast<std::uint64_t>(c - '0');
    whole *= 10;
  }
  std::uint64_t fraction = 0;  // by long division, bit by bit: rest << shift would not fit
  for (unsigned bit = 0; bit < shift; ++bit) {
    rest *= 2;
    fraction = 2 * fraction + (rest >= whole ? 1 : 0);
    rest %= whole;
  }
  return fraction;
}

}  // namespace

Status CheckName(std::string_view name, std::string_view thing) {
  const std::string subject = std::string(thing) + " " + Quoted(name);
  if (name.empty())
    return Fail(ErrorCode::kInvalidArgument, std::string(thing) + " is empty", kNameHint);
  if (name.size() > kNameLengthMax) {
    return Fail(ErrorCode::kInvalidArgument,
                subject + " is " + std::to_string(name.size()) + " characters long", kNameHint);
  }
  if (!IsAlphanumeric(name.front())) {
    return Fail(ErrorCode::kInvalidArgument, subject + " does not begin with a letter or digit",
                kNameHint);
  }
  for (const char c : name) {
    if (!IsNameCharacter(c)) {
      return Fail(ErrorCode::kInvalidArgument,
                  subject + " holds a character that names may not hold", kNameHint);
    }
  }
  return {};
}

Result<VolumeReference> ParseVolumeReference(std::string_view text) {
  VolumeReference reference;
  std::string_view volume = text;
  if (const auto slash = volume.find('/'); slash != std::string_view::npos) {
    reference.vault = volume.substr(0, slash);
    volume.remove_prefix(slash + 1);
    RETURN_IF_ERROR(CheckName(reference.vault, "vault name"));
  }
  if (const auto at = volume.find('@'); at != std::string_view::npos) {
    reference.snapshot = volume.substr(at + 1);
    volume = volume.substr(0, at);
    RETURN_IF_ERROR(CheckName(reference.snapshot, "snapshot name"));
  }
  RETURN_IF_ERROR(CheckName(volume, "volume name"));
  reference.volume = volume;
  return reference;
}

Result<std::uint64_t> ParseSize(std::string_view text) {
  const auto too_large = [text] {
    return Fail(ErrorCode::kInvalidArgument, "size " + Quoted(text) + " is too large", kSizeHint);
  };
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return too_large();
  if (error != std::errc() || text.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "size " + Quoted(text) + " does not begin with a number", kSizeHint);
  }
  std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  std::string_view digits;
  const bool has_point = !rest.empty() && rest.front() == '.';
  if (has_point) {
    rest.remove_prefix(1);
    const std::size_t count = std::min(rest.find_first_not_of("0123456789"), rest.size());
    digits = rest.substr(0, count);
    rest.remove_prefix(count);
  }
  ASSIGN_OR_RETURN(const unsigned shift, ShiftOf(rest, text));
  if (number > std::numeric_limits<std::uint64_t>::max() >> shift) return too_large();
  std::uint64_t bytes = number << shift;
  if (has_point) {
    const auto fraction = FractionOf(digits, shift);
    if (!fraction || shift == 0) {
      return Fail(ErrorCode::kInvalidArgument,
                  "size " + Quoted(text) + ": expected digits and a unit behind the point",
                  kSizeHint);
    }
    if (bytes > std::numeric_limits<std::uint64_t>::max() - *fraction) return too_large();
    bytes += *fraction;
  }
  return bytes;
}

Status CheckVolumeSize(std::uint64_t size_bytes) {
  const std::string subject = "volume size " + std::to_string(size_bytes) + " bytes";
  if (size_bytes == 0)
    return Fail(ErrorCode::kInvalidArgument, "the size must be greater than 0", kSizeHint);
  if (size_bytes % kVolumeBytesUnit != 0) {
    return Fail(ErrorCode::kInvalidArgument, subject + " is not a multiple of 4096", kSizeHint);
  }
  if (size_bytes > kVolumeBytesMax) {
    return Fail(ErrorCode::kInvalidArgument, subject + " is above the limit of 16 TiB", kSizeHint);
  }
  return {};
}

std::string FormatBytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
  return text;
}

std::string Quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::size_t shown = std::min(text.size(), kShown);
  // Not in the middle of a character of UTF-8.
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; };
  while (shown > 0 && shown < text.size() && continues(text[shown])) --shown;
  return "\"" + EscapeForTerminal(text.substr(0, shown)) + (shown < text.size() ? "...\"" : "\"");
}

}  // namespace coffer::control
