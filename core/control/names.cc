#include "core/control/names.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

namespace coffer::control {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool IsNameCharacter(char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; }

constexpr const char* kNameHint =
    "a name has 1 to 63 letters, digits, \".\", \"_\" and \"-\", and begins with a letter or digit";
constexpr const char* kSizeHint =
    "give a multiple of 4096 bytes, at most 16T: a number alone, or with K, M, G or T, as 20G";

Result<unsigned> ShiftOf(std::string_view unit, std::string_view text) {
  if (unit.empty() || unit == "B") return 0U;
  constexpr std::string_view kLetters = "KMGT";
  const std::size_t letter = kLetters.find(unit.front());
  const std::string_view rest = unit.substr(1);
  if (letter == std::string_view::npos || !(rest.empty() || rest == "iB")) {
    return Fail(ErrorCode::kInvalidArgument,
                "size " + Quoted(text) + ": " + Quoted(unit) + " is no unit", kSizeHint);
  }
  return static_cast<unsigned>(10 * (letter + 1));
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
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) {
    return Fail(ErrorCode::kInvalidArgument, "size " + Quoted(text) + " is too large", kSizeHint);
  }
  if (error != std::errc() || text.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "size " + Quoted(text) + " does not begin with a whole number", kSizeHint);
  }
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  ASSIGN_OR_RETURN(const unsigned shift, ShiftOf(unit, text));
  if (number > std::numeric_limits<std::uint64_t>::max() >> shift) {
    return Fail(ErrorCode::kInvalidArgument, "size " + Quoted(text) + " is too large", kSizeHint);
  }
  return number << shift;
}

Status CheckVolumeSize(std::uint64_t size_bytes) {
  const std::string subject = "volume size " + std::to_string(size_bytes) + " bytes";
  if (size_bytes == 0)
    return Fail(ErrorCode::kInvalidArgument, "a volume of 0 bytes is no volume", kSizeHint);
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
  std::string quoted = "\"";
  for (const char c : text.substr(0, kShown)) quoted.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  if (text.size() > kShown) quoted.append("...");
  quoted.push_back('"');
  return quoted;
}

}  // namespace coffer::control
