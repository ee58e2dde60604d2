#include "nbd/handshake.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/base/log.h"
#include "nbd/wire.h"

namespace coffer::nbd {
namespace {

// Names come from the peer: what goes into a message or a log is cut and escaped.
std::string Shown(std::string_view name) {
  constexpr std::size_t kShownMax = 64;
  std::string shown = EscapeForTerminal(name.substr(0, kShownMax));
  return name.size() > kShownMax ? shown + "..." : shown;
}

constexpr std::string_view kTlsFirst = "this socket takes nothing before STARTTLS";

std::string NoSuchExport(std::string_view name) {
  if (name.empty()) return "no default export on this socket: ask for a volume by its name";
  // No volume's name has an '@': these are kept for exports of snapshots.
  if (name.find('@') != std::string_view::npos) {
    return Concat("\"", Shown(name),
                  "\" names a snapshot, and snapshots are not exported: ask for \"",
                  Shown(name.substr(0, name.find('@'))), "\", the volume as it is now");
  }
  return Concat("no export named \"", Shown(name), "\" is open here");
}

// A power of two of at least 512, as "Block size constraints" wants it.
std::uint32_t PreferredBlockBytes(const Export& e) {
  return std::bit_ceil(std::clamp(e.preferred_block_bytes, 512u, kMaximumPayloadBytes));
}

/// What LIST and SET_META_CONTEXT ask: views of the option's data.
struct ContextQuestion {
  std::string_view export_name;
  std::vector<std::string_view> queries;
};

// Data: 32-bit name length, name, 32-bit count, that many queries with a 32-bit length each.
std::optional<ContextQuestion> ParseContextQuestion(ByteView data) {
  const auto take_number = [&data]() -> std::optional<std::uint32_t> {
    if (data.size() < 4) return std::nullopt;
    const auto number = LoadBe<std::uint32_t>(data.data());
    data = data.subspan(4);
    return number;
  };
  const auto take_text = [&]() -> std::optional<std::string_view> {
    const auto length = take_number();
    if (!length || *length > data.size()) return std::nullopt;
    const std::string_view text = AsText(data.first(*length));
    data = data.subspan(*length);
    return text;
  };
  const auto name = take_text();
  if (!name) return std::nullopt;
  const auto count = take_number();
  if (!count) return std::nullopt;
  ContextQuestion question{*name, {}};
  // Each query takes 4 bytes at least, so the option's own limit bounds their number.
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto query = take_text();
    if (!query) return std::nullopt;
    question.queries.push_back(*query);
  }
  if (!data.empty()) return std::nullopt;
  return question;
}

}  // namespace

std::uint16_t TransmissionFlags(const Export& e, ReplyStyle style, ContextsSelected contexts) {
  unsigned flags = kHasFlags | kSendFlush | kSendCache | kCanMultiConn;
  if (style != ReplyStyle::kSimple) flags |= kSendDf;
  if (style == ReplyStyle::kExtended && contexts == ContextsSelected::kSome) {
    flags |= kBlockStatusPayload;
  }
  if (e.read_only) {
    flags |= kReadOnly;
  } else {
    flags |= kSendFua | kSendTrim | kSendWriteZeroes | kSendFastZero;
  }
  return static_cast<std::uint16_t>(flags);
}

Handshake::Handshake(const ExportDirectory& exports) : exports_(exports) {
  AppendBe(output_, kInitMagic);
  AppendBe(output_, kOptionMagic);
  AppendBe(output_, static_cast<std::uint16_t>(kFlagFixedNewstyle | kFlagNoZeroes));
}

Handshake::Step Handshake::Advance(ByteView& input) {
  ByteView bytes;
  switch (state_) {
    case State::kClientFlags:
      if (!Gather(input, kClientFlagsBytes, bytes)) return Step::kNeedBytes;
      return TakeClientFlags(bytes);
    case State::kOptionHeader:
      if (!Gather(input, kOptionHeaderBytes, bytes)) return Step::kNeedBytes;
      return TakeOptionHeader(bytes);
    case State::kOptionData:
      if (!Gather(input, option_length_, bytes)) return Step::kNeedBytes;
      return TakeOption(bytes);
    case State::kDraining:
      return DrainOption(input);
    case State::kEntered:
      return Step::kEntered;
    case State::kEnded:
      break;
  }
  return Step::kEnded;
}

// Gives `size` bytes in one piece: straight from the input when it has them, else collected.
bool Handshake::Gather(ByteView& input, std::size_t size, ByteView& gathered) {
  if (std::exchange(gathered_used_, false)) gathered_.clear();
  if (gathered_.empty() && input.size() >= size) {
    gathered = input.first(size);
    input = input.subspan(size);
    return true;
  }
  const std::size_t taken = std::min(input.size(), size - gathered_.size());
  gathered_.insert(gathered_.end(), input.begin(), input.begin() + static_cast<long>(taken));
  input = input.subspan(taken);
  if (gathered_.size() < size) return false;
  gathered = gathered_;
  gathered_used_ = true;
  return true;
}

Handshake::Step Handshake::End(std::string reason) {
  state_ = State::kEnded;
  end_reason_ = std::move(reason);
  return Step::kEnded;
}

Handshake::Step Handshake::TakeClientFlags(ByteView bytes) {
  const auto flags = LoadBe<std::uint32_t>(bytes.data());
  if (flags & ~(kClientFixedNewstyle | kClientNoZeroes)) return End("unknown client flags");
  fixed_newstyle_ = flags & kClientFixedNewstyle;
  no_zeroes_ = flags & kClientNoZeroes;
  state_ = State::kOptionHeader;
  return Step::kContinue;
}

Handshake::Step Handshake::TakeOptionHeader(ByteView bytes) {
  if (LoadBe<std::uint64_t>(bytes.data()) != kOptionMagic) return End("wrong option magic");
  if (++options_seen_ > kOptionCountMax) return End("too many options");
  option_ = static_cast<Option>(LoadBe<std::uint32_t>(bytes.data() + 8));
  option_length_ = LoadBe<std::uint32_t>(bytes.data() + 12);
  // Only fixed newstyle has replies to options; an export name has none even there.
  if (option_ != Option::kExportName && !fixed_newstyle_)
    return End("option without fixed newstyle");
  if (option_length_ <= kOptionBytesMax) {
    state_ = State::kOptionData;
    return Step::kContinue;
  }
  if (option_ == Option::kExportName) return End("export name too long");
  if (option_length_ > kOptionDrainBytesMax) return End("option too long");
  if (option_ == Option::kSetMetaContext) agreement_.contexts.clear();
  drain_left_ = option_length_;
  state_ = State::kDraining;
  return Step::kContinue;
}

Handshake::Step Handshake::DrainOption(ByteView& input) {
  const auto taken = std::min(input.size(), std::size_t{drain_left_});
  input = input.subspan(taken);
  drain_left_ -= static_cast<std::uint32_t>(taken);
  if (drain_left_ > 0) return Step::kNeedBytes;
  state_ = State::kOptionHeader;
  if (IsTooEarly(option_)) {
    ReplyText(OptionReply::kErrorTlsRequired, kTlsFirst);
    return Step::kContinue;
  }
  ReplyText(OptionReply::kErrorTooBig, Concat("option of ", option_length_, " bytes, at most ",
                                              kOptionBytesMax, " are taken"));
  return Step::kContinue;
}

Handshake::Step Handshake::TakeOption(ByteView data) {
  state_ = State::kOptionHeader;
  if (IsTooEarly(option_)) {
    if (option_ == Option::kExportName) return End("the client asked for an export without TLS");
    ReplyText(OptionReply::kErrorTlsRequired, kTlsFirst);
    return Step::kContinue;
  }
  switch (option_) {
    case Option::kStartTls:
      return StartTls(data);
    case Option::kExportName:
      return ChooseByName(data);
    case Option::kAbort:
      Reply(OptionReply::kAck);
      return End("aborted by the client");
    case Option::kList:
      AnswerList(data);
      return Step::kContinue;
    case Option::kInfo:
    case Option::kGo:
      return AnswerInfo(data);
    case Option::kStructuredReply:
      AnswerStructuredReply(data);
      return Step::kContinue;
    case Option::kListMetaContext:
    case Option::kSetMetaContext:
      AnswerMetaContexts(data);
      return Step::kContinue;
    case Option::kExtendedHeaders:
      AnswerExtendedHeaders(data);
      return Step::kContinue;
  }
  ReplyText(OptionReply::kErrorUnsupported, "option not supported");
  return Step::kContinue;
}

// "FORCEDTLS mode": nothing about the exports is told in the clear, not even their names.
bool Handshake::IsTooEarly(Option option) const {
  return exports_.needs_tls() && !secured_ && option != Option::kStartTls &&
         option != Option::kAbort;
}

// Whoever sits between client and server may have negotiated something in the clear, in either's
// name: nothing of it may hold on the other side of TLS (CVE-2021-3716).
Handshake::Step Handshake::StartTls(ByteView data) {
  if (!data.empty()) {
    ReplyText(OptionReply::kErrorInvalid, "STARTTLS takes no data");
  } else if (secured_) {
    ReplyText(OptionReply::kErrorInvalid, "TLS is on already");
  } else if (!exports_.needs_tls()) {
    ReplyText(OptionReply::kErrorPolicy, "this socket has no TLS");
  } else {
    Reply(OptionReply::kAck);
    agreement_ = {};
    contexts_of_.clear();
    secured_ = true;
    return Step::kStartTls;
  }
  return Step::kContinue;
}

// NBD_OPT_EXPORT_NAME has no way to say no but to hang up.
Handshake::Step Handshake::ChooseByName(ByteView data) {
  if (agreement_.replies == ReplyStyle::kExtended) {
    return End("EXPORT_NAME after extended headers were agreed on");
  }
  if (data.size() > kExportNameBytesMax) return End("export name too long");
  auto found = exports_.Find(AsText(data));
  if (!found) return End(NoSuchExport(AsText(data)));
  AppendBe(output_, found->size);
  AppendBe(output_, FlagsOf(*found));
  if (!no_zeroes_) output_.resize(output_.size() + kExportNameZeroes, std::byte{0});
  return Enter(*found);
}

// Contexts that were selected on another export mean nothing on this one.
std::uint16_t Handshake::FlagsOf(const Export& e) const {
  const bool selected = contexts_of_ == e.name && !agreement_.contexts.empty();
  return TransmissionFlags(e, agreement_.replies,
                           selected ? ContextsSelected::kSome : ContextsSelected::kNone);
}

void Handshake::AnswerList(ByteView data) {
  if (!data.empty()) {
    ReplyText(OptionReply::kErrorInvalid, "LIST takes no data");
    return;
  }
  for (const Export& e : exports_.List()) {
    Bytes entry;
    AppendBe(entry, static_cast<std::uint32_t>(e.name.size()));
    const ByteView name = AsBytes(e.name);
    const ByteView description = AsBytes(e.description);
    entry.insert(entry.end(), name.begin(), name.end());
    entry.insert(entry.end(), description.begin(), description.end());
    Reply(OptionReply::kServer, entry);
  }
  Reply(OptionReply::kAck);
}

// Data: 32-bit name length, name, 16-bit count, that many 16-bit information types.
Handshake::Step Handshake::AnswerInfo(ByteView data) {
  const auto malformed = [this] {
    ReplyText(OptionReply::kErrorInvalid, "lengths inside the option do not add up");
    return Step::kContinue;
  };
  if (data.size() < 6) return malformed();
  const auto name_length = LoadBe<std::uint32_t>(data.data());
  if (name_length > data.size() - 6) return malformed();
  const std::string_view name = AsText(data.subspan(4, name_length));
  const ByteView wanted = data.subspan(4 + name_length + 2);
  const auto wanted_count = LoadBe<std::uint16_t>(data.data() + 4 + name_length);
  if (wanted.size() != std::size_t{2} * wanted_count) return malformed();

  if (name_length > kExportNameBytesMax) {
    ReplyText(OptionReply::kErrorTooBig,
              Concat("export name of ", name_length, " bytes, at most ", kExportNameBytesMax));
    return Step::kContinue;
  }
  const auto found = exports_.Find(name);
  if (!found) {
    ReplyText(OptionReply::kErrorUnknown, NoSuchExport(name));
    return Step::kContinue;
  }
  AnswerAbout(*found, wanted);
  Reply(OptionReply::kAck);
  return option_ == Option::kGo ? Enter(*found) : Step::kContinue;
}

void Handshake::AnswerAbout(const Export& e, ByteView wanted) {
  const auto start = [](Info type) {
    Bytes info;
    AppendBe(info, static_cast<std::uint16_t>(type));
    return info;
  };
  const auto send_text = [&](Info type, std::string_view text) {
    Bytes info = start(type);
    info.insert(info.end(), AsBytes(text).begin(), AsBytes(text).end());
    Reply(OptionReply::kInfo, info);
  };
  Bytes basic = start(Info::kExport);
  AppendBe(basic, e.size);
  AppendBe(basic, FlagsOf(e));
  Reply(OptionReply::kInfo, basic);

  // A type asked for a thousand times is answered once.
  const auto is_wanted = [wanted](Info type) {
    for (std::size_t at = 0; at < wanted.size(); at += 2) {
      if (LoadBe<std::uint16_t>(wanted.data() + at) == static_cast<std::uint16_t>(type))
        return true;
    }
    return false;
  };
  if (is_wanted(Info::kName)) send_text(Info::kName, e.name);
  if (is_wanted(Info::kDescription)) send_text(Info::kDescription, e.description);
  if (is_wanted(Info::kBlockSize)) {
    Bytes sizes = start(Info::kBlockSize);
    AppendBe(sizes, kMinimumBlockBytes);
    AppendBe(sizes, PreferredBlockBytes(e));
    AppendBe(sizes, kMaximumPayloadBytes);
    Reply(OptionReply::kInfo, sizes);
  }
}

void Handshake::AnswerStructuredReply(ByteView data) {
  if (!data.empty()) {
    ReplyText(OptionReply::kErrorInvalid, "STRUCTURED_REPLY takes no data");
  } else if (agreement_.replies == ReplyStyle::kExtended) {
    ReplyText(OptionReply::kErrorExtendedHeaders, "extended headers are agreed on already");
  } else if (agreement_.replies == ReplyStyle::kStructured) {
    ReplyText(OptionReply::kErrorInvalid, "structured replies are agreed on already");
  } else {
    agreement_.replies = ReplyStyle::kStructured;
    Reply(OptionReply::kAck);
  }
}

void Handshake::AnswerExtendedHeaders(ByteView data) {
  if (!data.empty()) {
    ReplyText(OptionReply::kErrorInvalid, "EXTENDED_HEADERS takes no data");
  } else if (agreement_.replies == ReplyStyle::kExtended) {
    ReplyText(OptionReply::kErrorInvalid, "extended headers are agreed on already");
  } else {
    agreement_.replies = ReplyStyle::kExtended;
    Reply(OptionReply::kAck);
  }
}

// SET replaces what was selected before, also when it fails. Unknown namespaces are to be ignored,
// and so are leaves that are not there.
void Handshake::AnswerMetaContexts(ByteView data) {
  const bool selects = option_ == Option::kSetMetaContext;
  if (selects) agreement_.contexts.clear();
  if (agreement_.replies == ReplyStyle::kSimple) {
    ReplyText(OptionReply::kErrorInvalid,
              "metadata contexts need structured replies or extended headers");
    return;
  }
  const std::optional<ContextQuestion> asked = ParseContextQuestion(data);
  if (!asked) {
    ReplyText(OptionReply::kErrorInvalid, "lengths inside the option do not add up");
    return;
  }
  const std::string_view name = asked->export_name;
  const std::vector<std::string_view>& queries = asked->queries;
  if (queries.size() > kMetaQueriesMax) {
    ReplyText(OptionReply::kErrorTooBig,
              Concat(queries.size(), " queries, at most ", kMetaQueriesMax, " are taken"));
    return;
  }
  if (name.size() > kExportNameBytesMax) {
    ReplyText(OptionReply::kErrorTooBig,
              Concat("export name of ", name.size(), " bytes, at most ", kExportNameBytesMax));
    return;
  }
  for (const std::string_view query : queries) {
    if (query.find(':') != std::string_view::npos) continue;
    ReplyText(OptionReply::kErrorInvalid,
              Concat("query \"", Shown(query), "\" has no namespace: ask as in base:allocation"));
    return;
  }
  const auto found = exports_.Find(name);
  if (!found) {
    ReplyText(OptionReply::kErrorUnknown, NoSuchExport(name));
    return;
  }
  if (selects) {
    SelectContexts(*found, queries);
  } else {
    ListContexts(*found, queries);
  }
  Reply(OptionReply::kAck);
}

// An id is the context's place in the export's list.
void Handshake::SelectContexts(const Export& e, const std::vector<std::string_view>& queries) {
  contexts_of_ = e.name;
  std::uint32_t id = 0;
  for (const MetaContext* context : e.meta_contexts) {
    ++id;
    if (std::find(queries.begin(), queries.end(), context->name()) == queries.end()) continue;
    agreement_.contexts.push_back({id, context});
    ReplyContext(id, context->name());
  }
}

// No query asks for all; ids are reserved here.
void Handshake::ListContexts(const Export& e, const std::vector<std::string_view>& queries) {
  for (const MetaContext* context : e.meta_contexts) {
    const bool asked_for = std::any_of(queries.begin(), queries.end(), [&](std::string_view query) {
      return QueryLists(query, context->name());
    });
    if (asked_for || queries.empty()) ReplyContext(0, context->name());
  }
}

void Handshake::ReplyContext(std::uint32_t id, std::string_view name) {
  Bytes data;
  AppendBe(data, id);
  data.insert(data.end(), AsBytes(name).begin(), AsBytes(name).end());
  Reply(OptionReply::kMetaContext, data);
}

Handshake::Step Handshake::Enter(const Export& e) {
  // Contexts of another export mean nothing here.
  if (contexts_of_ != e.name) agreement_.contexts.clear();
  chosen_ = e;
  state_ = State::kEntered;
  return Step::kEntered;
}

void Handshake::Reply(OptionReply type, ByteView data) {
  AppendBe(output_, kOptionReplyMagic);
  AppendBe(output_, static_cast<std::uint32_t>(option_));
  AppendBe(output_, static_cast<std::uint32_t>(type));
  AppendBe(output_, static_cast<std::uint32_t>(data.size()));
  output_.insert(output_.end(), data.begin(), data.end());
}

void Handshake::ReplyText(OptionReply type, std::string_view text) { Reply(type, AsBytes(text)); }

}  // namespace coffer::nbd
