// Result<T>: a value or an Error. A struct rather than an alias, since only a struct can be
// [[nodiscard]].
#pragma once

#include <tl/expected.hpp>
#include <utility>

#include "core/base/error.h"

namespace coffer {

template <class T>
struct [[nodiscard]] Result : tl::expected<T, Error> {
  using tl::expected<T, Error>::expected;
};

using Status = Result<void>;

[[nodiscard]] inline auto Fail(Error error) { return tl::make_unexpected(std::move(error)); }
[[nodiscard]] inline auto Fail(ErrorCode code, std::string message, std::string hint = {}) {
  return tl::make_unexpected(Error{code, std::move(message), std::move(hint)});
}

}  // namespace coffer

#define COFFER_CONCAT_INNER(a, b) a##b
#define COFFER_CONCAT(a, b) COFFER_CONCAT_INNER(a, b)

/// Returns the error of `expr` from the enclosing function, if it has one.
#define RETURN_IF_ERROR(expr)                                                                \
  do {                                                                                       \
    auto coffer_status = (expr);                                                             \
    if (!coffer_status.has_value()) return ::coffer::Fail(std::move(coffer_status).error()); \
  } while (false)

/// `ASSIGN_OR_RETURN(auto x, F());` binds the value or returns the error.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_INNER(COFFER_CONCAT(coffer_result_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_INNER(result, lhs, expr)                            \
  auto result = (expr);                                                      \
  if (!result.has_value()) return ::coffer::Fail(std::move(result).error()); \
  lhs = std::move(*result)
