// Commands in hints and examples, as a person can paste them into a shell. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace coffer {

/// `word` as one word of a POSIX shell: as it is where nothing in it means anything there, else in
/// single quotes.
[[nodiscard]] std::string ShellQuoted(std::string_view word);

}  // namespace coffer
