#include "core/base/redact.h"

#include <algorithm>
#include <cctype>

namespace coffer {
namespace {

constexpr std::string_view kCut = "***";
constexpr std::string_view kUrlMark = "://";
constexpr std::string_view kHeader = "authorization:";
constexpr std::string_view kUrlEnds = " \t\n\r\"'<>`,;)]}";

char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::size_t FindHeader(std::string_view text) {
  const auto found = std::search(text.begin(), text.end(), kHeader.begin(), kHeader.end(),
                                 [](char a, char b) { return Lower(a) == b; });
  return static_cast<std::size_t>(found - text.begin());
}

/// "a=1&socket=/run/x": every value but the socket's is cut.
void AppendQuery(std::string_view query, std::string* out) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos || part.substr(0, equals) == "socket") {
      out->append(part);
    } else {
      out->append(part.substr(0, equals + 1)).append(kCut);
    }
    if (end < query.size()) out->push_back('&');
    query.remove_prefix(std::min(end + 1, query.size()));
  }
}

/// "host", "host:8080"; not "user:passwo".
bool EndsInPort(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  return colon == std::string_view::npos ||
         authority.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
}

/// What follows the "://" of a URL, up to its end.
void AppendUrl(std::string_view url, std::string* out) {
  const std::size_t question = std::min(url.find('?'), url.size());
  std::string_view place = url.substr(0, question);
  const std::string_view authority = place.substr(0, place.find('/'));
  std::size_t at = authority.rfind('@');
  // A password may hold a "/" by mistake: then the last "@" of all ends it.
  if (at == std::string_view::npos && !EndsInPort(authority)) at = place.rfind('@');
  if (at != std::string_view::npos) {
    out->append(kCut);
    place.remove_prefix(at);
  }
  out->append(place);
  if (question == url.size()) return;
  out->push_back('?');
  AppendQuery(url.substr(question + 1), out);
}

}  // namespace

std::string Redacted(std::string_view text) {
  std::string out;
  const std::size_t header = FindHeader(text);
  std::string_view rest = text.substr(0, header);
  for (;;) {
    const std::size_t mark = rest.find(kUrlMark);
    if (mark == std::string_view::npos) break;
    const std::size_t start = mark + kUrlMark.size();
    out.append(rest.substr(0, start));
    rest.remove_prefix(start);
    const std::size_t end = std::min(rest.find_first_of(kUrlEnds), rest.size());
    AppendUrl(rest.substr(0, end), &out);
    rest.remove_prefix(end);
  }
  out.append(rest);
  if (header == text.size()) return out;
  out.append(text.substr(header, kHeader.size())).append(" ").append(kCut);
  const std::size_t line_end = text.find('\n', header);
  if (line_end != std::string_view::npos) out.append(Redacted(text.substr(line_end)));
  return out;
}

}  // namespace coffer
