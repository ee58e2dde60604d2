// Result and Status in GoogleTest: the error's text shows when one was not expected.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <utility>

#include "core/base/result.h"

namespace coffer {

/// "not-found: cannot open /a: No such file or directory"
inline std::string TextOf(const Error& error) {
  std::string text(ErrorCodeName(error.code));
  return text.append(": ").append(error.message);
}

template <class T>
testing::AssertionResult IsOk(const Result<T>& result) {
  if (result.has_value()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << TextOf(result.error());
}

template <class T>
testing::AssertionResult FailsWith(const Result<T>& result, ErrorCode code) {
  if (result.has_value()) return testing::AssertionFailure() << "succeeded";
  if (result.error().code == code) return testing::AssertionSuccess();
  return testing::AssertionFailure() << TextOf(result.error());
}

}  // namespace coffer

#define EXPECT_OK(expr) EXPECT_TRUE(::coffer::IsOk(expr))
#define ASSERT_OK(expr) ASSERT_TRUE(::coffer::IsOk(expr))
/// EXPECT_FAILS(store.Delete({}, "x"), kNotFound)
#define EXPECT_FAILS(expr, code) EXPECT_TRUE(::coffer::FailsWith((expr), ::coffer::ErrorCode::code))
#define ASSERT_FAILS(expr, code) ASSERT_TRUE(::coffer::FailsWith((expr), ::coffer::ErrorCode::code))

/// `ASSERT_OK_AND_ASSIGN(auto file, fs.Open(…));`
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  ASSERT_OK_AND_ASSIGN_INNER(COFFER_CONCAT(coffer_result_, __LINE__), lhs, expr)
#define ASSERT_OK_AND_ASSIGN_INNER(result, lhs, expr) \
  auto result = (expr);                               \
  ASSERT_TRUE(::coffer::IsOk(result));                \
  lhs = std::move(*result)
