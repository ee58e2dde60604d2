// Takes a response as it comes, line by line and piece by piece, and holds it against its limits
// before anything is kept. Pure; one thread.
//
//   kHead --(empty line, status 1xx, or 401 that is answered)--> kHead
//   kHead --(empty line, any other status)--> kBody, where lines are trailers and dropped
//
// What has been counted stays counted: a server that sends one interim answer after the other, or
// asks for credentials again and again, meets the same limits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/http/http_client.h"

namespace coffer::http {

struct ResponseLimits {
  std::uint64_t header_bytes_max;
  std::size_t headers_max;
  std::uint64_t body_bytes_max;  // Request's
};

class ResponseCollector {
 public:
  /// `host` is for messages. With `answers_401` one with such a status may be followed by another,
  /// after the client has said who it is.
  enum class Challenges { kFinal, kAnswered };
  ResponseCollector(std::string host, bool has_no_body, const ResponseLimits& limits,
                    Challenges challenges);

  /// A line of the head, with or without its end. Once false, always: see error().
  [[nodiscard]] bool TakeHeaderLine(std::string_view line);
  [[nodiscard]] bool TakeBody(ByteView bytes);

  /// Why the last call was false.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] bool has_whole_head() const { return state_ == State::kBody; }
  /// A challenge was answered and what came then was no challenge.
  [[nodiscard]] bool has_passed_challenge() const {
    return was_challenged_ && response_.status != kChallenge;
  }
  [[nodiscard]] bool was_told_to_continue() const { return was_told_to_continue_; }
  [[nodiscard]] int status() const { return response_.status; }
  [[nodiscard]] std::uint64_t header_bytes() const { return header_bytes_; }
  /// The most that a body of this status may have.
  [[nodiscard]] std::uint64_t body_limit() const;
  /// REQUIRES: has_whole_head().
  [[nodiscard]] Response Take() { return std::move(response_); }

 private:
  enum class State { kHead, kBody };
  static constexpr int kChallenge = 401;

  bool TakeStatusLine(std::string_view line);
  bool TakeField(std::string_view line);
  bool EndHead();
  bool Reject(ErrorCode code, std::string_view why, std::string_view hint);
  bool RejectBody(std::string_view size);

  const std::string host_;
  const bool has_no_body_;
  const ResponseLimits limits_;
  const Challenges challenges_;
  State state_ = State::kHead;
  std::uint64_t header_bytes_ = 0;
  std::size_t headers_ = 0;
  bool was_challenged_ = false;
  bool was_told_to_continue_ = false;
  Response response_;
  std::optional<Error> error_;
};

}  // namespace coffer::http
