#include "core/store/store_url.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/store/azure_settings.h"
#include "core/store/s3_settings.h"
#include "core/store/webdav_place.h"

namespace coffer::store {
namespace {

constexpr std::size_t kTextLengthMax = 4096;
constexpr std::size_t kHostLengthMax = 255;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// The scheme of "scheme:…" (RFC 3986 section 3.1) in lower case, or "".
std::string SchemeOf(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || !IsLetter(text.front())) return "";
  std::string scheme(text.substr(0, colon));
  for (char& c : scheme) {
    if (!IsLetter(c) && !IsDigit(c) && c != '+' && c != '-' && c != '.') return "";
    c = http::LowerCase(c);
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
    std::string digits(text.substr(i + 1, 2));  // in capitals too, as most programs write them
    std::ranges::transform(digits, digits.begin(), http::LowerCase);
    if (!FromHex(digits, MutableByteView(&value, 1))) {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("store URL: '%' in ", text, " is not followed by two hex digits"),
                  "write a '%' itself as %25");
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

bool IsBucketCharacter(char c) {
  return IsLetter(c) || IsDigit(c) || c == '-' || c == '.' || c == '_';
}

/// `text` as it stands in a URL: all but what has a meaning there, spaces and the "%" itself.
std::string EncodePercent(std::string_view text, std::string_view special) {
  std::string encoded;
  for (const char c : text) {
    if (c == '%' || c == ' ' || c == '#' || special.find(c) != std::string_view::npos) {
      const auto byte = static_cast<std::byte>(c);
      encoded.append("%").append(ToHex(ByteView(&byte, 1)));
    } else {
      encoded.push_back(c);
    }
  }
  return encoded;
}

tl::unexpected<Error> FailUrl(const SchemeRules& rules, std::string_view why,
                              std::string_view hint = {}) {
  return Fail(ErrorCode::kInvalidArgument, Concat("store URL ", rules.scheme, "://…: ", why),
              std::string(hint));
}

/// Nothing of `authority` is repeated: what fails here may be a secret in the wrong place.
Status CheckNoPassword(const SchemeRules& rules, std::string_view rest) {
  const std::size_t at = rest.find('@');
  const std::size_t colon = rest.find(':');
  const std::size_t slash = rest.find('/');
  // A slash may stand in a password; a port, with which it could be confused, is a number.
  const bool is_port = colon < slash && slash < at &&
                       std::ranges::all_of(rest.substr(colon + 1, slash - colon - 1), IsDigit);
  if (at == std::string_view::npos || colon >= std::min(at, slash) || is_port) return {};
  return FailUrl(rules, "a password or key has no place in a URL", rules.credentials_hint);
}

Status CheckBucket(const SchemeRules& rules, const std::string& bucket) {
  const bool sound = bucket.size() >= 3 && bucket.size() <= kHostLengthMax &&
                     std::ranges::all_of(bucket, IsBucketCharacter) && bucket.front() != '.' &&
                     bucket.find("..") == std::string::npos;
  if (sound) return {};
  return FailUrl(rules, "what follows is no bucket's name",
                 Concat("write ", rules.scheme,
                        "://BUCKET/PREFIX: a name of 3 or more letters, digits, '-', '.' and '_'; "
                        "the server goes into ?endpoint=https://HOST"));
}

/// "host", "host:port", "[::1]:port".
Status CheckServer(const SchemeRules& rules, std::string_view server) {
  const std::size_t bracket = server.starts_with('[') ? server.find(']') : std::string_view::npos;
  const std::size_t begin = bracket == std::string_view::npos ? 0 : bracket;
  const std::size_t colon = server.find(':', begin);
  const std::string_view name = server.substr(0, colon);
  if (name.empty() || name.size() > kHostLengthMax) return FailUrl(rules, "it names no host");
  const auto is_host = [&](char c) {
    return IsBucketCharacter(c) || (begin > 0 && (c == ':' || c == '[' || c == ']'));
  };
  if (!std::ranges::all_of(name, is_host)) {
    return FailUrl(rules, "what follows is no host's name");
  }
  if (colon == std::string_view::npos) return {};
  const std::string_view port = server.substr(colon + 1);
  if (!port.empty() && port.size() <= 5 && std::ranges::all_of(port, IsDigit)) return {};
  return FailUrl(rules, "the port behind the host's name is no number");
}

/// "a//b/" to "a/b".
Result<std::string> PrefixOf(const SchemeRules& rules, std::string_view text) {
  ASSIGN_OR_RETURN(const std::string decoded, DecodePercent(text));
  std::string joined;
  for (std::string_view rest = decoded; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (part.empty()) continue;
    if (part == "." || part == "..") {
      return FailUrl(rules, Concat("'", part, "' in its path: servers differ in what that means"),
                     "write the path without it");
    }
    joined.append(joined.empty() ? "" : "/").append(part);
  }
  return joined;
}

Status CheckOption(const SchemeRules& rules, const std::string& name) {
  if (std::ranges::find(rules.options, name) != rules.options.end()) return {};
  std::string known;
  for (const std::string_view option : rules.options) {
    known.append(known.empty() ? "" : ", ").append(option);
  }
  return FailUrl(
      rules, Concat("there is no option '", name, "'"),
      known.empty() ? Concat("stores of this kind have none") : Concat("there are: ", known));
}

Result<std::map<std::string, std::string>> QueryOf(const SchemeRules& rules,
                                                   std::string_view text) {
  std::map<std::string, std::string> query;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    ASSIGN_OR_RETURN(std::string name, DecodePercent(pair.substr(0, equals)));
    RETURN_IF_ERROR(CheckOption(rules, name));
    const bool has_value = equals != std::string_view::npos && equals + 1 < pair.size();
    if (!has_value) return FailUrl(rules, Concat("option '", name, "' has no value"));
    ASSIGN_OR_RETURN(std::string value, DecodePercent(pair.substr(equals + 1)));
    if (!query.emplace(name, std::move(value)).second) {
      return FailUrl(rules, Concat("option '", name, "' stands there twice"));
    }
  }
  return query;
}

/// What follows "scheme:".
Result<StoreUrl> ParseUrlOf(const SchemeRules& rules, std::string_view rest) {
  if (!rest.starts_with("//")) return FailUrl(rules, "two slashes belong behind the ':'");
  rest.remove_prefix(2);
  if (rest.find('#') != std::string_view::npos) {
    return FailUrl(rules, "it holds a '#'", "write a '#' that belongs to a name as %23");
  }
  const std::size_t question = rest.find('?');
  const std::string_view options =
      question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
  rest = rest.substr(0, question);
  RETURN_IF_ERROR(CheckNoPassword(rules, rest));
  std::string_view authority = rest.substr(0, rest.find('/'));
  rest.remove_prefix(authority.size());

  StoreUrl url{
      .scheme = std::string(rules.scheme), .user = {}, .host = {}, .path = {}, .query = {}};
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (rules.user == SchemeRules::User::kNone) {
      return FailUrl(rules, "it names a user, which stores of this kind have not",
                     rules.credentials_hint);
    }
    ASSIGN_OR_RETURN(url.user, DecodePercent(authority.substr(0, at)));
    if (url.user.empty()) return FailUrl(rules, "there is no user before the '@'");
    authority.remove_prefix(at + 1);
  }
  url.host = std::string(authority);
  if (rules.host == SchemeRules::Host::kBucket) {
    RETURN_IF_ERROR(CheckBucket(rules, url.host));
  } else {
    RETURN_IF_ERROR(CheckServer(rules, url.host));
    std::ranges::transform(url.host, url.host.begin(), http::LowerCase);
  }
  ASSIGN_OR_RETURN(url.path, PrefixOf(rules, rest));
  ASSIGN_OR_RETURN(url.query, QueryOf(rules, options));
  return url;
}

Status CheckNoControlCharacters(const StoreUrl& url) {
  bool found = HasControlCharacter(url.path) || HasControlCharacter(url.user);
  for (const auto& option : url.query) found = found || HasControlCharacter(option.second);
  if (!found) return {};
  return Fail(ErrorCode::kInvalidArgument, "the store's path holds a control character");
}

/// Nothing of the text is repeated: a URL of a kind that is not known may hold a password.
tl::unexpected<Error> FailUnknownScheme(const std::string& scheme,
                                        std::span<const SchemeRules> schemes) {
  std::string known = "a path, file:";
  for (const SchemeRules& rules : schemes) known.append(", ").append(rules.scheme).append("://");
  return Fail(ErrorCode::kUnsupported,
              Concat("store scheme '", scheme, ":' is not known; there are: ", known),
              "if it is a path, write ./ before it");
}

}  // namespace

std::string StoreUrl::ToString() const {
  if (scheme == "file") return path;
  std::string text = Concat(scheme, "://");
  if (!user.empty()) text.append(EncodePercent(user, "/?@:")).append("@");
  text.append(host);
  if (!path.empty()) text.append("/").append(EncodePercent(path, "?"));
  char separator = '?';
  for (const auto& [name, value] : query) {
    text.push_back(separator);
    text.append(name).append("=").append(EncodePercent(value, "&"));
    separator = '&';
  }
  return text;
}

std::string StoreUrl::Option(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

std::span<const SchemeRules> BuiltInSchemes() {
  static constexpr std::array<SchemeRules, 1> kSftp = {{
      {.scheme = "sftp",
       .host = SchemeRules::Host::kServer,
       .user = SchemeRules::User::kOptional,
       .options = {},
       .credentials_hint = "ssh logs in: give it a key, or have an agent hold one"},
  }};
  static const std::vector<SchemeRules> schemes = [] {
    std::vector<SchemeRules> all;
    for (const std::span<const SchemeRules> some :
         {S3Schemes(), AzureSchemes(), WebDavSchemes(), std::span<const SchemeRules>(kSftp)}) {
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }();
  return schemes;
}

Result<StoreUrl> ParseStoreUrl(std::string_view text, const std::string& working_directory,
                               std::span<const SchemeRules> schemes) {
  if (text.empty())
    return Fail(ErrorCode::kInvalidArgument, "the store is empty: give a path or URL");
  if (text.size() > kTextLengthMax) {
    return Fail(ErrorCode::kInvalidArgument, Concat("the store's name has ", text.size(),
                                                    " characters; at most ", kTextLengthMax));
  }
  const std::string scheme = SchemeOf(text);
  StoreUrl url{.scheme = "file", .user = {}, .host = {}, .path = {}, .query = {}};
  if (scheme == "file") {
    ASSIGN_OR_RETURN(const std::string path, PathOfFileUrl(text));
    url.path = Normalize(path);
  } else if (scheme.empty()) {
    url.path =
        Normalize(text.front() == '/' ? std::string(text) : Concat(working_directory, "/", text));
  } else {
    const auto rules = std::ranges::find(schemes, scheme, &SchemeRules::scheme);
    if (rules == schemes.end()) return FailUnknownScheme(scheme, schemes);
    ASSIGN_OR_RETURN(url, ParseUrlOf(*rules, text.substr(scheme.size() + 1)));
  }
  RETURN_IF_ERROR(CheckNoControlCharacters(url));
  return url;
}

Result<std::string> DefaultAlias(const StoreUrl& url) {
  std::string last = url.path.substr(url.path.rfind('/') + 1);
  if (last.empty()) last = url.host.substr(0, url.host.find(':'));
  if (!last.empty()) return last;
  return Fail(ErrorCode::kInvalidArgument, Concat("store ", url.ToString(), " has no name to use"),
              "name the vault with --as ALIAS");
}

}  // namespace coffer::store
