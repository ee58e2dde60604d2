// What all kinds that keep objects in a bucket or container hold answers against. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/http/http_client.h"

namespace coffer::store {

/// Servers take offsets for signed numbers.
inline constexpr std::uint64_t kHttpOffsetMax = INT64_MAX;
/// Of answers that are not an object or a list: explanations.
inline constexpr std::uint64_t kSmallAnswerMax = 64 << 10;

/// "WHAT: the store answered wrongly: WHY", kUnavailable: the next answer may be right.
[[nodiscard]] tl::unexpected<Error> FailAnswer(const std::string& what, std::string_view why);

/// All of `text`, in decimal digits.
[[nodiscard]] std::optional<std::uint64_t> NumberOf(std::string_view text);

/// "bytes 0-9/100" of a 206.
struct ContentRange {
  std::uint64_t first;
  std::uint64_t last;
  std::uint64_t total;
};
[[nodiscard]] std::optional<ContentRange> ParseContentRange(std::string_view text);

/// That a body is as long as its header promised, where there is one.
Status CheckAnswerLength(const http::Response& response, const std::string& what);

/// That the answer to a range is that range, as far as the object reaches.
Status CheckAnswerRange(const http::Response& response, const std::string& what,
                        std::uint64_t offset, std::uint64_t length);

/// The limit of a body that is to have up to `size_max` bytes: instead of a few there may come a
/// page that explains why they don't.
[[nodiscard]] std::uint64_t BodyMax(std::uint64_t size_max);

/// Whether any object's name begins so.
[[nodiscard]] bool CanBeginName(const std::string& prefix);

/// What a vault is made of, and what probes leave.
[[nodiscard]] bool IsPartOfVault(std::string_view name);

}  // namespace coffer::store
