// Drives an nbd::Session over bytes for the two fuzz targets, and writes down all that it says, so
// that the same bytes cut in different places can be compared: the cut must never matter.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "nbd/session.h"

namespace coffer::nbd::fuzz {

inline constexpr std::uint64_t kDeviceSize = 1 << 20;

class FuzzExports final : public ExportDirectory {
 public:
  explicit FuzzExports(bool needs_tls) : needs_tls_(needs_tls) {}
  bool needs_tls() const override { return needs_tls_; }
  std::optional<Export> Find(std::string_view name) const override {
    for (const Export& e : exports_) {
      if (e.name == name) return e;
    }
    return std::nullopt;
  }
  std::vector<Export> List() const override { return exports_; }

 private:
  const bool needs_tls_;
  const std::vector<Export> exports_{{"v", "a volume", kDeviceSize, 65536, false},
                                     {"r", "", kDeviceSize, 65536, true}};
};

/// With `needs_tls` what follows STARTTLS is taken for what came out of TLS.
class Conversation {
 public:
  explicit Conversation(bool needs_tls) : needs_tls_(needs_tls), exports_(needs_tls) {}

  /// False: the session is over.
  bool Send(ByteView input) {
    while (true) {
      const Session::Step step = session_.Advance(input);
      Write(session_.output());
      session_.output().clear();
      CHECK(session_.payload_bytes() <= kMaximumPayloadBytes);
      switch (step) {
        case Session::Step::kNeedBytes:
          CHECK(input.empty());
          return true;
        case Session::Step::kMustWait:
          CHECK(false);  // there is no gate
          break;
        case Session::Step::kContinue:
          break;
        case Session::Step::kStartTls:
          CHECK(needs_tls_ && !secured_);
          secured_ = true;
          break;
        case Session::Step::kEntered:
          CHECK(session_.negotiated());
          CHECK(secured_ == needs_tls_);
          break;
        case Session::Step::kRequest:
          WriteRequest(session_.request());
          session_.request().owned.Release();
          break;
        case Session::Step::kRefusal:
          CHECK(session_.refusal().error != ReplyError::kNone);
          CHECK(session_.refusal().why[0] != '\0');
          said_ += "refused " + std::to_string(session_.refusal().cookie) + " " +
                   std::to_string(static_cast<int>(session_.refusal().error)) + "\n";
          break;
        case Session::Step::kDisconnect:
          said_ += "disconnect\n";
          return false;
        case Session::Step::kBroken:
          said_ += "broken: " + session_.end_reason() + "\n";
          return false;
      }
    }
  }

  /// As a socket would deliver it: pieces of sizes taken from `input` itself, the rest of a payload
  /// straight into its place.
  void SendInPieces(ByteView input) {
    std::size_t turn = input.size();
    while (!input.empty()) {
      turn = turn * 31 + static_cast<std::size_t>(input.front());
      const MutableByteView space = session_.payload_space();
      const std::size_t piece = std::min(input.size(), 1 + turn % 61);
      const std::size_t direct = turn % 3 == 0 ? 0 : std::min(piece, space.size());
      if (direct > 0) {
        std::copy_n(input.begin(), direct, space.begin());
        session_.PayloadReceived(direct);
      }
      if (!Send(input.subspan(direct, piece - direct))) return;
      input = input.subspan(piece);
    }
  }

  const std::string& said() const { return said_; }

 private:
  void Write(ByteView bytes) { said_.append(AsText(bytes)); }
  void WriteRequest(const Request& r) {
    // What a device may rely on. A FLUSH has no range for it: what the client said there is only
    // repeated in the reply.
    const bool has_range = r.command != Command::kFlush;
    CHECK(!has_range || (r.offset <= kDeviceSize && r.length <= kDeviceSize - r.offset));
    CHECK(!has_range || r.length > 0);
    CHECK(r.payload.size() == (r.command == Command::kWrite ? r.length : 0));
    const bool has_data = r.command == Command::kRead || r.command == Command::kWrite;
    CHECK(!has_data || r.length <= kMaximumPayloadBytes);
    const auto& contexts = session_.agreement().contexts;
    const std::uint64_t selected = (std::uint64_t{1} << contexts.size()) - 1;
    CHECK(r.command != Command::kBlockStatus || (r.contexts & selected) != 0);
    said_ += "request " + std::to_string(static_cast<int>(r.command)) + " " +
             std::to_string(r.flags) + " " + std::to_string(r.cookie) + " " +
             std::to_string(r.offset) + " " + std::to_string(r.length) + " " +
             std::to_string(r.contexts) + " ";
    Write(r.payload);
    said_ += "\n";
  }

  const bool needs_tls_;
  bool secured_ = false;
  FuzzExports exports_;
  BufferPool pool_{1 << 20};
  Session session_{exports_, pool_};
  std::string said_;
};

/// Feeds `prefix` and then `input`, whole and in pieces.
inline void Compare(ByteView prefix, ByteView input, bool needs_tls = false) {
  Conversation whole(needs_tls);
  Conversation pieces(needs_tls);
  if (whole.Send(prefix)) whole.Send(input);
  if (pieces.Send(prefix)) pieces.SendInPieces(input);
  CHECK(whole.said() == pieces.said());
}

}  // namespace coffer::nbd::fuzz
