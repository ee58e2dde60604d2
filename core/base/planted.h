// Planted bugs: places in product code where a test build can be told to do the wrong thing, so
// that it shows whether some test sees it. tests/integration/mutants.py has the test of each.
//
//   if (!Planted("skip-journal-sync")) RETURN_IF_ERROR(file.SyncData());
//
// In every ordinary build Planted() is false at compile time and nothing of it is in the binary:
// consteval, since a constexpr function leaves its strings there; a test looks into the programs.
// With COFFER_PLANTED (preset `planted`) the environment variable COFFER_BUG names the one that is
// active, so that one build serves all of them. Any thread.
#pragma once

#include <string_view>

namespace coffer {

#ifdef COFFER_PLANTED
[[nodiscard]] bool Planted(std::string_view bug);
#else
[[nodiscard]] consteval bool Planted(std::string_view) { return false; }
#endif

}  // namespace coffer
