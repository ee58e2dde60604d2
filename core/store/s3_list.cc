#include "core/store/s3_list.h"

#include <charconv>
#include <chrono>
#include <optional>

#include "core/base/log.h"
#include "core/store/xml.h"

namespace coffer::store {
namespace {

constexpr std::size_t kNameShownMax = 200;

std::string Shown(const std::string& name) {
  return Concat("'", EscapeForTerminal(name.substr(0, kNameShownMax)), "'");
}

template <class Number>
std::optional<Number> NumberOf(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// A root of that name, or kUnavailable.
Result<XmlDocument> ParseRoot(ByteView body, std::string_view name) {
  ASSIGN_OR_RETURN(XmlDocument document, ParseXml(body));
  const std::string_view found = LocalName(RootOf(document));
  if (found == name) return document;
  return Fail(ErrorCode::kUnavailable,
              Concat("the store answered with ", Shown(std::string(found)), " instead of ", name));
}

Result<ListedObject> ParseContents(const pugi::xml_node& node) {
  const pugi::xml_node key = ChildOf(node, "Key");
  const auto size = NumberOf<std::uint64_t>(ChildText(node, "Size"));
  if (!key || !size) {
    return Fail(ErrorCode::kUnavailable, "the store lists an object without a name or size");
  }
  return ListedObject{key.child_value(), *size, ParseIsoTime(ChildText(node, "LastModified"))};
}

/// That `key` may stand behind `last` in an answer to `asked`.
Status CheckKey(const S3ListAsked& asked, const std::string& last, const std::string& key) {
  if (!key.starts_with(asked.key_prefix)) {
    return Fail(ErrorCode::kUnsupported, Concat("the store lists ", Shown(key), ", asked for ",
                                                Shown(asked.key_prefix), " and what follows it"));
  }
  if (key > last) return {};
  return Fail(ErrorCode::kUnsupported,
              Concat("the store lists names out of order: ", Shown(key), " after ", Shown(last)));
}

std::string EscapeForXml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::optional<UnixSeconds> ParseIsoTime(std::string_view text) {
  namespace chrono = std::chrono;
  if (text.size() < 20 || text.back() != 'Z' || text[4] != '-' || text[7] != '-' ||
      text[10] != 'T' || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = NumberOf<int>(text.substr(0, 4));
  const auto month = NumberOf<unsigned>(text.substr(5, 2));
  const auto day = NumberOf<unsigned>(text.substr(8, 2));
  const auto hour = NumberOf<unsigned>(text.substr(11, 2));
  const auto minute = NumberOf<unsigned>(text.substr(14, 2));
  const auto second = NumberOf<unsigned>(text.substr(17, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const chrono::year_month_day date{chrono::year(*year), chrono::month(*month), chrono::day(*day)};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const chrono::sys_seconds time = chrono::sys_days(date) + chrono::hours(*hour) +
                                   chrono::minutes(*minute) + chrono::seconds(*second);
  return time.time_since_epoch().count();
}

Result<S3ListPage> ParseS3List(ByteView body, const S3ListAsked& asked) {
  ASSIGN_OR_RETURN(const XmlDocument document, ParseRoot(body, "ListBucketResult"));
  const pugi::xml_node root = RootOf(document);
  S3ListPage page;
  const std::string truncated = ChildText(root, "IsTruncated");
  if (truncated != "true" && truncated != "false") {
    return Fail(ErrorCode::kUnavailable, "the store does not say whether its list goes on");
  }
  page.truncated = truncated == "true";
  page.continuation_token = ChildText(root, "NextContinuationToken");
  std::string last = asked.start_after;
  for (const pugi::xml_node& node : root.children()) {
    if (LocalName(node) != "Contents") continue;
    ASSIGN_OR_RETURN(ListedObject object, ParseContents(node));
    RETURN_IF_ERROR(CheckKey(asked, last, object.name));
    if (page.keys.size() == asked.limit) {
      page.truncated = true;
      break;
    }
    last = object.name;
    page.keys.push_back(std::move(object));
  }
  return page;
}

std::string S3DeleteRequest(const std::vector<std::string>& keys) {
  std::string text = R"(<?xml version="1.0" encoding="UTF-8"?><Delete>)";
  for (const std::string& key : keys) {
    text.append("<Object><Key>").append(EscapeForXml(key)).append("</Key></Object>");
  }
  return text.append("</Delete>");
}

Result<S3DeleteOutcome> ParseS3Delete(ByteView body) {
  ASSIGN_OR_RETURN(const XmlDocument document, ParseRoot(body, "DeleteResult"));
  S3DeleteOutcome outcome;
  for (const pugi::xml_node& node : RootOf(document).children()) {
    if (LocalName(node) == "Deleted") {
      outcome.deleted.insert(ChildText(node, "Key"));
    } else if (LocalName(node) == "Error") {
      outcome.failed[ChildText(node, "Key")] = {ChildText(node, "Code"),
                                                ChildText(node, "Message")};
    }
  }
  return outcome;
}

}  // namespace coffer::store
