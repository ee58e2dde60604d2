#include "core/base/line_text.h"

#include <algorithm>

#include "core/base/bytes.h"

namespace coffer {

std::string EscapeForLine(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '%') {
      escaped.append("%").append(ToHex(AsBytes({&c, 1})));
    } else {
      escaped.push_back(c);
    }
  }
  return escaped;
}

std::optional<std::string> UnescapeFromLine(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain.push_back(text[i]);
      continue;
    }
    std::byte byte;
    if (i + 2 >= text.size() || !FromHex(text.substr(i + 1, 2), {&byte, 1})) return std::nullopt;
    plain.push_back(static_cast<char>(byte));
    i += 2;
  }
  return plain;
}

std::string_view TakeUntil(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return taken;
}

}  // namespace coffer
