#include "core/store/store_url.h"

#include <algorithm>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/log.h"

namespace coffer::store {
namespace {

constexpr std::string_view kSchemesKnown = "file";
constexpr std::size_t kTextLengthMax = 4096;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// The scheme of "scheme:…" (RFC 3986 section 3.1) in lower case, or "".
std::string SchemeOf(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || !IsLetter(text.front())) return "";
  std::string scheme(text.substr(0, colon));
  for (char& c : scheme) {
    if (!IsLetter(c) && !IsDigit(c) && c != '+' && c != '-' && c != '.') return "";
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return scheme;
}

bool HasControlCharacter(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

Result<std::string> DecodePercent(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    std::byte value{};
    if (!FromHex(text.substr(i + 1, 2), MutableByteView(&value, 1))) {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("store URL: '%' in ", text, " is not followed by two hex digits"),
                  "write a '%' itself as %25, or give the plain path");
    }
    decoded.push_back(static_cast<char>(value));
    i += 2;
  }
  return decoded;
}

/// "file:///path", "file:/path" and "file://localhost/path" (RFC 8089) to the path.
Result<std::string> PathOfFileUrl(std::string_view url) {
  std::string_view rest = url.substr(url.find(':') + 1);
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const std::string_view host = rest.substr(0, rest.find('/'));
    if (!host.empty() && host != "localhost") {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("store URL ", url, " names the host '", host, "'; file: is this machine"),
                  "write file:///path, with three slashes");
    }
    rest.remove_prefix(host.size());
  }
  if (!rest.starts_with('/')) {
    return Fail(ErrorCode::kInvalidArgument, Concat("store URL ", url, " has no absolute path"),
                "write file:///path");
  }
  return DecodePercent(rest);
}

/// An absolute path in its one spelling.
std::string Normalize(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string joined;
  for (const std::string_view part : parts) joined.append("/").append(part);
  return joined.empty() ? "/" : joined;
}

}  // namespace

std::string StoreUrl::ToString() const { return path; }

Result<StoreUrl> ParseStoreUrl(std::string_view text, const std::string& working_directory) {
  if (text.empty())
    return Fail(ErrorCode::kInvalidArgument, "the store is empty: give a path or URL");
  if (text.size() > kTextLengthMax) {
    return Fail(ErrorCode::kInvalidArgument, Concat("the store's name has ", text.size(),
                                                    " characters; at most ", kTextLengthMax));
  }
  const std::string scheme = SchemeOf(text);
  std::string path;
  if (scheme == "file") {
    ASSIGN_OR_RETURN(path, PathOfFileUrl(text));
  } else if (!scheme.empty()) {
    return Fail(ErrorCode::kUnsupported,
                Concat("store scheme '", scheme, ":' is not known; there are: a path, ",
                       kSchemesKnown, ":"),
                Concat("if ", text, " is a path, write ./", text));
  } else {
    path = text.front() == '/' ? std::string(text) : Concat(working_directory, "/", text);
  }
  if (HasControlCharacter(path)) {
    return Fail(ErrorCode::kInvalidArgument, "the store's path holds a control character");
  }
  return StoreUrl{"file", Normalize(path)};
}

Result<std::string> DefaultAlias(const StoreUrl& url) {
  std::string last = url.path.substr(url.path.rfind('/') + 1);
  if (!last.empty()) return last;
  return Fail(ErrorCode::kInvalidArgument, Concat("store ", url.ToString(), " has no name to use"),
              "name the vault with --as ALIAS");
}

}  // namespace coffer::store
