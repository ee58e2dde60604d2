// Handshake: the fixed newstyle negotiation of one connection, as a state machine over bytes. Knows
// no socket and no time; whoever feeds it keeps the deadline. One thread.
//
// States and how each is left:
//   client flags   4 bytes came: option header; unknown flags: ended
//   option header  16 bytes came: option data, or draining when too long, or ended (wrong magic,
//                  absurd length, too many options)
//   option data    all of it came: answered, then option header again, entered, or ended
//                  (STARTTLS: answered, and everything agreed on before is forgotten)
//   draining       the option's data is thrown away as it comes, then answered with an error
//   entered        an export is chosen; bytes that follow belong to the transmission phase
//   ended          output, if any, is to be sent and the connection closed; end_reason() says why
// Invariant: at most kOptionBytesMax of input are ever kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "nbd/export.h"
#include "nbd/protocol.h"

namespace coffer::nbd {

inline constexpr std::size_t kExportNameBytesMax = 255;
/// Longer options are thrown away and answered TOO_BIG up to the second limit, then cut off.
inline constexpr std::uint32_t kOptionBytesMax = 4096;
inline constexpr std::uint32_t kOptionDrainBytesMax = 64 * 1024;
/// Enough for a client that lists and asks about every volume of a large vault.
inline constexpr int kOptionCountMax = 1024;
/// Queries in one LIST or SET_META_CONTEXT; so no more contexts are ever selected.
inline constexpr std::uint32_t kMetaQueriesMax = 64;

/// What the transmission phase is to keep to.
struct Agreement {
  ReplyStyle replies = ReplyStyle::kSimple;
  std::vector<SelectedContext> contexts;
};

class Handshake {
 public:
  enum class Step {
    kNeedBytes,  // all input is used up
    kContinue,   // something was understood; there may be output
    kStartTls,   // once: input from here on must have come through TLS
    kEntered,
    kEnded,
  };

  /// Starts with the server's greeting in the output.
  explicit Handshake(const ExportDirectory& exports);

  /// Takes bytes from the front of `input` until one option is answered or they are used up.
  Step Advance(ByteView& input);

  /// Bytes to send; the caller takes them and leaves it empty.
  [[nodiscard]] Bytes& output() { return output_; }
  /// REQUIRES: entered.
  [[nodiscard]] const Export& chosen() const { return *chosen_; }
  /// REQUIRES: entered.
  [[nodiscard]] const Agreement& agreement() const { return agreement_; }
  [[nodiscard]] const std::string& end_reason() const { return end_reason_; }

 private:
  enum class State { kClientFlags, kOptionHeader, kOptionData, kDraining, kEntered, kEnded };

  bool Gather(ByteView& input, std::size_t size, ByteView& gathered);
  Step TakeClientFlags(ByteView bytes);
  Step TakeOptionHeader(ByteView bytes);
  Step TakeOption(ByteView data);
  Step DrainOption(ByteView& input);
  Step End(std::string reason);

  Step StartTls(ByteView data);
  [[nodiscard]] bool IsTooEarly(Option option) const;
  Step ChooseByName(ByteView data);
  [[nodiscard]] std::uint16_t FlagsOf(const Export& e) const;
  void AnswerList(ByteView data);
  Step AnswerInfo(ByteView data);
  void AnswerStructuredReply(ByteView data);
  void AnswerExtendedHeaders(ByteView data);
  void AnswerMetaContexts(ByteView data);
  void SelectContexts(const Export& e, const std::vector<std::string_view>& queries);
  void ListContexts(const Export& e, const std::vector<std::string_view>& queries);
  void ReplyContext(std::uint32_t id, std::string_view name);
  void AnswerAbout(const Export& e, ByteView wanted);
  Step Enter(const Export& e);

  void Reply(OptionReply type, ByteView data = {});
  void ReplyText(OptionReply type, std::string_view text);

  const ExportDirectory& exports_;
  State state_ = State::kClientFlags;
  bool fixed_newstyle_ = false;
  bool no_zeroes_ = false;
  bool secured_ = false;  // STARTTLS was agreed on
  int options_seen_ = 0;
  Option option_{};
  std::uint32_t option_length_ = 0;
  std::uint32_t drain_left_ = 0;
  Bytes gathered_;
  bool gathered_used_ = false;
  Bytes output_;
  Agreement agreement_;
  std::string contexts_of_;  // the export that agreement_.contexts were selected on
  std::optional<Export> chosen_;
  std::string end_reason_;
};

}  // namespace coffer::nbd
