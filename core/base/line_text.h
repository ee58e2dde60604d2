// Text in files of lines: values that hold anything on one line, and lines taken apart.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coffer {

/// Control characters and "%" as "%" and two hex digits.
[[nodiscard]] std::string EscapeForLine(std::string_view text);
/// nullopt: not what EscapeForLine makes.
[[nodiscard]] std::optional<std::string> UnescapeFromLine(std::string_view text);

/// Takes the text up to the next `separator` (or the end) off the front of `rest`.
std::string_view TakeUntil(std::string_view& rest, char separator);

}  // namespace coffer
