#include "core/store/webdav_list.h"

#include <algorithm>
#include <charconv>

#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/http/http_date.h"
#include "core/store/xml.h"

namespace coffer::store {
namespace {

/// nullopt for an escape that is none.
std::optional<std::string> Decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    std::string digits(text.substr(i + 1, 2));
    std::ranges::transform(digits, digits.begin(), http::LowerCase);
    std::byte value{};
    if (!FromHex(digits, MutableByteView(&value, 1))) return std::nullopt;
    decoded.push_back(static_cast<char>(value));
    i += 2;
  }
  return decoded;
}

/// Some servers set the element on lines of its own.
std::string_view WithoutSpace(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// The path of "https://host/a/b/" or "/a/b/", decoded, "/a/b"; nullopt for what is neither.
std::optional<std::string> PathOfHref(std::string_view href) {
  const std::size_t colons = href.find("://");
  if (colons != std::string_view::npos && href.find('/') > colons) {
    const std::size_t slash = href.find('/', colons + 3);
    href = slash == std::string_view::npos ? std::string_view() : href.substr(slash);
  } else if (!href.starts_with('/')) {
    return std::nullopt;
  }
  std::optional<std::string> path = Decoded(href);
  while (path.has_value() && path->ends_with('/')) path->pop_back();
  return path;
}

/// The code in "HTTP/1.1 200 OK"; 0 for what is none.
int StatusIn(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  const std::string_view digits = line.substr(space + 1, 3);
  int status = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), status);
  return status;
}

bool IsSuccess(const std::string& status_line) {
  const int status = StatusIn(status_line);
  return status >= 200 && status < 300;
}

void ReadProperties(const pugi::xml_node& prop, WebDavEntry& entry) {
  const pugi::xml_node type = ChildOf(prop, "resourcetype");
  if (ChildOf(type, "collection")) entry.is_collection = true;
  const std::string size = ChildText(prop, "getcontentlength");
  if (!size.empty()) std::from_chars(size.data(), size.data() + size.size(), entry.size);
  const std::string modified = ChildText(prop, "getlastmodified");
  if (!modified.empty()) entry.modified = http::ParseHttpDate(modified);
}

/// The entry of one <response>; nullopt for one that is not there, or elsewhere than in `path`.
std::optional<WebDavEntry> ReadEntry(const pugi::xml_node& response, std::string_view path) {
  const std::string status = ChildText(response, "status");
  if (!status.empty() && !IsSuccess(status)) return std::nullopt;
  const std::string href_text = ChildText(response, "href");
  const std::optional<std::string> href = PathOfHref(WithoutSpace(href_text));
  if (!href.has_value() || !href->starts_with(path)) return std::nullopt;
  WebDavEntry entry;
  if (href->size() > path.size()) {
    if ((*href)[path.size()] != '/') return std::nullopt;
    entry.name = href->substr(path.size() + 1);
    if (entry.name.empty() || entry.name.find('/') != std::string::npos) return std::nullopt;
  }
  for (const pugi::xml_node& part : response.children()) {
    if (LocalName(part) != "propstat" || !IsSuccess(ChildText(part, "status"))) continue;
    ReadProperties(ChildOf(part, "prop"), entry);
  }
  return entry;
}

}  // namespace

std::string_view PropfindBody() {
  return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
         "<D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/><D:getcontentlength/>"
         "<D:getlastmodified/></D:prop></D:propfind>\n";
}

Result<std::vector<WebDavEntry>> ParseMultistatus(ByteView xml, std::string_view path) {
  ASSIGN_OR_RETURN(const XmlDocument document, ParseXml(xml, kMultistatusBytesMax));
  const pugi::xml_node root = RootOf(document);
  if (LocalName(root) != "multistatus") {
    return Fail(ErrorCode::kUnavailable, "the server's answer is no listing");
  }
  std::vector<WebDavEntry> entries;
  for (const pugi::xml_node& response : root.children()) {
    if (LocalName(response) != "response") continue;
    std::optional<WebDavEntry> entry = ReadEntry(response, path);
    if (entry.has_value()) entries.push_back(std::move(*entry));
  }
  const bool tells_of_itself =
      std::ranges::any_of(entries, [](const WebDavEntry& entry) { return entry.name.empty(); });
  if (tells_of_itself) return entries;
  return Fail(ErrorCode::kUnavailable,
              Concat("the server's listing of ", path, "/ does not tell of that place"),
              "if a proxy lies between that changes paths, name the store by the server's own");
}

}  // namespace coffer::store
