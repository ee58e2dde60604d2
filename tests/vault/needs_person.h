// Matches errors that need a person.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/result_macros.h"

namespace coffer::vault {

/// The error names its state first, has a hint, and says each of `parts`.
template <class T>
testing::AssertionResult NeedsPerson(const Result<T>& result, std::string_view state,
                                     const std::vector<std::string>& parts = {}) {
  if (result.has_value()) return testing::AssertionFailure() << "succeeded";
  const Error& error = result.error();
  auto failure = testing::AssertionFailure() << TextOf(error);
  if (error.code != ErrorCode::kNeedsPerson) return failure;
  if (!error.message.starts_with(std::string(state) + ": ")) return failure;
  if (error.hint.empty()) return failure << " (no hint)";
  for (const std::string& part : parts) {
    if (error.message.find(part) == std::string::npos) return failure << " (no " << part << ")";
  }
  return testing::AssertionSuccess();
}

}  // namespace coffer::vault
