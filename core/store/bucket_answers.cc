#include "core/store/bucket_answers.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/log.h"
#include "core/store/object_store.h"

namespace coffer::store {

tl::unexpected<Error> FailAnswer(const std::string& what, std::string_view why) {
  return Fail(ErrorCode::kUnavailable, Concat(what, ": the store answered wrongly: ", why));
}

std::optional<std::uint64_t> NumberOf(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (!text.starts_with(kUnit) || dash == std::string_view::npos ||
      slash == std::string_view::npos || dash < kUnit.size() || slash < dash) {
    return std::nullopt;
  }
  const auto first = NumberOf(text.substr(kUnit.size(), dash - kUnit.size()));
  const auto last = NumberOf(text.substr(dash + 1, slash - dash - 1));
  const auto total = NumberOf(text.substr(slash + 1));
  if (!first || !last || !total) return std::nullopt;
  return ContentRange{*first, *last, *total};
}

Status CheckAnswerLength(const http::Response& response, const std::string& what) {
  const auto header = response.Find("Content-Length");
  if (!header || NumberOf(*header) == response.body.size()) return {};
  return FailAnswer(what, Concat(response.body.size(), " bytes instead of ", *header));
}

Status CheckAnswerRange(const http::Response& response, const std::string& what,
                        std::uint64_t offset, std::uint64_t length) {
  if (response.status != 206) return FailAnswer(what, "the whole object instead of a range");
  const std::string_view header = response.Find("Content-Range").value_or("");
  const auto range = ParseContentRange(header);
  const auto wrong = [&] {
    return FailAnswer(what, Concat("range '", EscapeForTerminal(header.substr(0, 100)),
                                   "' instead of ", length, " bytes at ", offset));
  };
  if (!range || range->first != offset || range->total <= offset) return wrong();
  const std::uint64_t expected = std::min(length, range->total - offset);
  if (range->last != offset + expected - 1) return wrong();
  if (response.body.size() != expected) {
    return FailAnswer(what, Concat(response.body.size(), " bytes instead of ", expected));
  }
  return {};
}

std::uint64_t BodyMax(std::uint64_t size_max) { return std::max(size_max, kSmallAnswerMax); }

bool CanBeginName(const std::string& prefix) {
  return prefix.empty() || IsValidObjectName(prefix) || IsValidObjectName(prefix + "0");
}

bool IsPartOfVault(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kParts = {"keys/", "catalog/", "heads/",
                                                             "packs/", "probe/"};
  return name.empty() || name == "vault" ||
         std::ranges::any_of(kParts, [&](std::string_view part) { return name.starts_with(part); });
}

}  // namespace coffer::store
