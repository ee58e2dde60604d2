#include "nbd/handshake.h"

#include <gtest/gtest.h>

#include "nbd/session.h"
#include "tests/nbd/client_bytes.h"

namespace coffer::nbd {
namespace {

using testing::AskFor;
using testing::ClientFlags;
using testing::Get;
using testing::Joined;
using testing::OptionAnswer;
using testing::OptionBytes;

class TwoExports final : public ExportDirectory {
 public:
  std::optional<Export> Find(std::string_view name) const override {
    for (const Export& e : exports_) {
      if (e.name == name) return e;
    }
    return std::nullopt;
  }
  std::vector<Export> List() const override { return exports_; }

 private:
  const std::vector<Export> exports_{{"photos", "holiday pictures", 20u << 20, 65536, false},
                                     {"old@may", "", 4096, 131072, true}};
};

/// Feeds bytes to a session, whole or in pieces, and collects what it says.
class Talk {
 public:
  Session::Step Send(ByteView bytes) {
    Session::Step step = Session::Step::kNeedBytes;
    ByteView input = bytes;
    do {
      step = session_.Advance(input);
      sent_.insert(sent_.end(), session_.output().begin(), session_.output().end());
      session_.output().clear();
    } while (step == Session::Step::kContinue);
    left_ = input.size();
    return step;
  }
  Session::Step SendByteByByte(ByteView bytes) {
    Session::Step step = Session::Step::kNeedBytes;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      step = Send(bytes.subspan(i, 1));
      if (step != Session::Step::kNeedBytes) break;
    }
    return step;
  }
  const Bytes& sent() const { return sent_; }
  std::vector<OptionAnswer> answers() const {
    return testing::OptionAnswers(ByteView(sent_).subspan(testing::kGreeting));
  }
  Session& session() { return session_; }
  std::size_t left() const { return left_; }

 private:
  TwoExports exports_;
  BufferPool pool_{0};
  Session session_{exports_, pool_};
  Bytes sent_;
  std::size_t left_ = 0;
};

// The only answer to `option`, sent after good client flags.
OptionAnswer AnswerTo(const Bytes& option) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), option})), Session::Step::kNeedBytes);
  const auto answers = talk.answers();
  EXPECT_EQ(answers.size(), 1u);
  return answers.empty() ? OptionAnswer{} : answers.front();
}

TEST(Handshake, GreetsWithFixedNewstyleAndNoZeroes) {
  Talk talk;
  talk.Send({});
  EXPECT_EQ(AsText(ByteView(talk.sent())), std::string_view("NBDMAGICIHAVEOPT\0\3", 18));
}

TEST(Handshake, UnknownClientFlagsEndIt) {
  Talk talk;
  EXPECT_EQ(talk.Send(ClientFlags(4)), Session::Step::kBroken);
  EXPECT_EQ(talk.session().end_reason(), "unknown client flags");
}

TEST(Handshake, ListNamesAndDescribesEveryExport) {
  Talk talk;
  talk.Send(Joined({ClientFlags(), OptionBytes(testing::kList)}));
  const auto answers = talk.answers();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].type, testing::kServer);
  EXPECT_EQ(answers[0].data, std::string("\0\0\0\6photosholiday pictures", 26));
  EXPECT_EQ(answers[1].data, std::string("\0\0\0\7old@may", 11));
  EXPECT_EQ(answers[2].type, testing::kAck);
}

TEST(Handshake, ListWithDataIsInvalid) {
  EXPECT_EQ(AnswerTo(OptionBytes(testing::kList, "x")).type, testing::kErrInvalid);
}

TEST(Handshake, GoGivesSizeAndFlagsAndEnters) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), AskFor(testing::kGo, "photos")})),
            Session::Step::kEntered);
  const auto answers = talk.answers();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].type, testing::kInfoReply);
  const ByteView info = AsBytes(answers[0].data);
  ASSERT_EQ(info.size(), 12u);
  EXPECT_EQ(Get(info, 0, 2), 0u);
  EXPECT_EQ(Get(info, 2, 8), 20u << 20);
  // HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, CAN_MULTI_CONN, FAST_ZERO
  EXPECT_EQ(Get(info, 10, 2), 1u | 4 | 8 | 32 | 64 | 256 | 1024 | 2048);
  EXPECT_EQ(answers[1].type, testing::kAck);
  EXPECT_TRUE(talk.session().negotiated());
}

TEST(Handshake, AReadOnlyExportOffersNoWriting) {
  Talk talk;
  talk.Send(Joined({ClientFlags(), AskFor(testing::kGo, "old@may")}));
  EXPECT_EQ(Get(AsBytes(talk.answers().at(0).data), 10, 2), 1u | 2 | 4 | 256 | 1024);
}

TEST(Handshake, InfoTellsNameDescriptionAndBlockSizesWhenAsked) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), AskFor(testing::kInfo, "photos", {1, 2, 3, 77, 3})})),
            Session::Step::kNeedBytes);
  const auto answers = talk.answers();
  ASSERT_EQ(answers.size(), 5u);
  EXPECT_EQ(answers[1].data, std::string("\0\1photos", 8));
  EXPECT_EQ(answers[2].data, std::string("\0\2holiday pictures", 18));
  const ByteView sizes = AsBytes(answers[3].data);
  ASSERT_EQ(sizes.size(), 14u);
  EXPECT_EQ(Get(sizes, 2, 4), 1u);
  EXPECT_EQ(Get(sizes, 6, 4), 65536u);
  EXPECT_EQ(Get(sizes, 10, 4), 32u << 20);
  EXPECT_EQ(answers[4].type, testing::kAck);
  EXPECT_FALSE(talk.session().negotiated());
}

TEST(Handshake, AMissingExportIsUnknownAndTheTalkGoesOn) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), AskFor(testing::kGo, "p\x1b[31m\nx"),
                              AskFor(testing::kGo, "photos")})),
            Session::Step::kEntered);
  const auto answers = talk.answers();
  EXPECT_EQ(answers.at(0).type, testing::kErrUnknown);
  EXPECT_EQ(answers.at(0).data.find('\x1b'), std::string::npos);
  EXPECT_EQ(answers.at(0).data.find('\n'), std::string::npos);
  EXPECT_EQ(answers.at(2).type, testing::kAck);
}

TEST(Handshake, TheEmptyNameIsUnknownWhereNothingAnswersToIt) {
  const OptionAnswer answer = AnswerTo(AskFor(testing::kGo, ""));
  EXPECT_EQ(answer.type, testing::kErrUnknown);
  EXPECT_NE(answer.data.find("by its name"), std::string::npos);
}

TEST(Handshake, NamesThatAreNoUtf8OrTooLongAreRefused) {
  EXPECT_EQ(AnswerTo(AskFor(testing::kGo, "\xff\xfe\x80")).type, testing::kErrUnknown);
  EXPECT_EQ(AnswerTo(AskFor(testing::kGo, std::string(255, 'n'))).type, testing::kErrUnknown);
  EXPECT_EQ(AnswerTo(AskFor(testing::kGo, std::string(256, 'n'))).type, testing::kErrTooBig);
  EXPECT_EQ(AnswerTo(AskFor(testing::kGo, std::string(4096, 'n'))).type, testing::kErrTooBig);
}

TEST(Handshake, LengthsThatDoNotAddUpAreInvalid) {
  const auto go = [](std::string_view data) {
    return AnswerTo(OptionBytes(testing::kGo, data)).type;
  };
  EXPECT_EQ(go(""), testing::kErrInvalid);
  EXPECT_EQ(go({"\0\0\0\0\0", 5}), testing::kErrInvalid);
  EXPECT_EQ(go({"\0\0\0\7photos\0\0", 12}), testing::kErrInvalid);
  EXPECT_EQ(go({"\xff\xff\xff\xffphotos\0\0", 12}), testing::kErrInvalid);
  EXPECT_EQ(go({"\0\0\0\6photos\0\1", 12}), testing::kErrInvalid);
  EXPECT_EQ(go({"\0\0\0\6photos\0\0x", 13}), testing::kErrInvalid);
}

TEST(Handshake, OptionsNotSpokenAreUnsupportedAndTheirDataIsSkipped) {
  for (const std::uint32_t option : {4u, 99u, 0u, 0xffffffffu}) {
    EXPECT_EQ(AnswerTo(OptionBytes(option, std::string(300, 'd'))).type, testing::kErrUnsup);
  }
}

class SecureExports final : public ExportDirectory {
 public:
  std::optional<Export> Find(std::string_view name) const override { return exports_.Find(name); }
  std::vector<Export> List() const override { return exports_.List(); }
  bool needs_tls() const override { return true; }

 private:
  TwoExports exports_;
};

TEST(Handshake, StartTlsEndsTheClearTextAtExactlyItsLastByte) {
  const SecureExports exports;
  BufferPool pool(1 << 20);
  Session session(exports, pool);
  const Bytes bytes =
      Joined({ClientFlags(), OptionBytes(testing::kStartTls), OptionBytes(testing::kList)});
  ByteView input = bytes;
  EXPECT_EQ(session.Advance(input), Session::Step::kContinue);  // the flags
  EXPECT_EQ(session.Advance(input), Session::Step::kContinue);  // the option's header
  EXPECT_EQ(session.Advance(input), Session::Step::kStartTls);
  EXPECT_EQ(input.size(), 16u);
  EXPECT_EQ(
      testing::OptionAnswers(ByteView(session.output()).subspan(testing::kGreeting)).back().type,
      testing::kAck);
}

TEST(Handshake, BeforeTlsEverythingButAbortIsRefusedAndAfterItNothing) {
  const SecureExports exports;
  BufferPool pool(1 << 20);
  Session session(exports, pool);
  const auto answer = [&](const Bytes& bytes) {
    session.output().clear();
    ByteView input = bytes;
    while (session.Advance(input) == Session::Step::kContinue) {
    }
    const auto answers = testing::OptionAnswers(session.output());
    return answers.empty() ? 0 : answers.back().type;
  };
  answer(ClientFlags());
  for (const std::uint32_t option : {testing::kList, testing::kStructuredReply, 99u}) {
    EXPECT_EQ(answer(OptionBytes(option)), testing::kErrTlsRequired);
  }
  EXPECT_EQ(answer(OptionBytes(testing::kList, std::string(5000, 'd'))), testing::kErrTlsRequired);
  EXPECT_EQ(answer(OptionBytes(testing::kStartTls, "x")), testing::kErrInvalid);
  EXPECT_EQ(answer(OptionBytes(testing::kStartTls)), testing::kAck);
  EXPECT_EQ(answer(OptionBytes(testing::kStartTls)), testing::kErrInvalid);
  EXPECT_EQ(answer(OptionBytes(testing::kStructuredReply)), testing::kAck);
  EXPECT_EQ(answer(AskFor(testing::kGo, "photos")), testing::kAck);
}

TEST(Handshake, WithoutTlsStartTlsIsRefusedByPolicy) {
  EXPECT_EQ(AnswerTo(OptionBytes(testing::kStartTls)).type, testing::kErrPolicy);
}

TEST(Handshake, AnOptionTooLongIsDrainedAndAnswered) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), OptionBytes(testing::kList, std::string(65536, 'd')),
                              OptionBytes(testing::kAbort)})),
            Session::Step::kBroken);
  EXPECT_EQ(talk.answers().at(0).type, testing::kErrTooBig);
  EXPECT_EQ(talk.answers().at(1).type, testing::kAck);
}

TEST(Handshake, AnOptionOfFourGigabytesEndsIt) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), OptionBytes(testing::kInfo, "", 0xffffffff)})),
            Session::Step::kBroken);
  EXPECT_EQ(talk.session().end_reason(), "option too long");
}

TEST(Handshake, AWrongMagicEndsIt) {
  Talk talk;
  Bytes option = OptionBytes(testing::kList);
  option[3] ^= std::byte{1};
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), option})), Session::Step::kBroken);
  EXPECT_EQ(talk.session().end_reason(), "wrong option magic");
}

TEST(Handshake, AbortIsAcknowledgedAndNothingAfterItIsRead) {
  Talk talk;
  EXPECT_EQ(
      talk.Send(Joined({ClientFlags(), OptionBytes(testing::kAbort), OptionBytes(testing::kList)})),
      Session::Step::kBroken);
  ASSERT_EQ(talk.answers().size(), 1u);
  EXPECT_EQ(talk.answers()[0].type, testing::kAck);
}

TEST(Handshake, TenThousandOptionsAreTooMany) {
  Talk talk;
  EXPECT_EQ(talk.Send(ClientFlags()), Session::Step::kNeedBytes);
  int sent = 0;
  while (talk.Send(OptionBytes(testing::kStructuredReply)) == Session::Step::kNeedBytes) {
    ASSERT_LT(++sent, 10000);
  }
  EXPECT_EQ(sent, kOptionCountMax);
  EXPECT_EQ(talk.session().end_reason(), "too many options");
}

TEST(Handshake, ExportNameAnswersWithoutZeroesWhenBothAgree) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), OptionBytes(testing::kExportName, "photos")})),
            Session::Step::kEntered);
  ASSERT_EQ(talk.sent().size(), testing::kGreeting + 10);
  EXPECT_EQ(Get(talk.sent(), testing::kGreeting, 8), 20u << 20);
}

TEST(Handshake, ExportNamePadsForOlderClients) {
  for (const std::uint32_t flags : {0u, 1u}) {
    Talk talk;
    EXPECT_EQ(talk.Send(Joined({ClientFlags(flags), OptionBytes(testing::kExportName, "photos")})),
              Session::Step::kEntered);
    ASSERT_EQ(talk.sent().size(), testing::kGreeting + 134);
    EXPECT_TRUE(IsZero(ByteView(talk.sent()).last(124)));
  }
}

TEST(Handshake, ExportNameOfAMissingExportEndsIt) {
  for (const std::string& name : {std::string("none"), std::string(), std::string(256, 'n'),
                                  std::string(4096, 'n'), std::string(5000, 'n')}) {
    Talk talk;
    EXPECT_EQ(talk.Send(Joined({ClientFlags(), OptionBytes(testing::kExportName, name)})),
              Session::Step::kBroken);
    EXPECT_EQ(talk.sent().size(), testing::kGreeting);
  }
}

TEST(Handshake, WithoutFixedNewstyleOnlyAnExportNameIsTaken) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(0), OptionBytes(testing::kList)})),
            Session::Step::kBroken);
  EXPECT_EQ(talk.sent().size(), testing::kGreeting);
}

TEST(Handshake, BytesAfterGoAreLeftForTheTransmissionPhase) {
  Talk talk;
  const Bytes request = testing::RequestBytes(testing::kRead, 0, 512, 7);
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), AskFor(testing::kGo, "photos"), request})),
            Session::Step::kEntered);
  EXPECT_EQ(talk.left(), request.size());
}

TEST(Handshake, SaysTheSameHoweverTheBytesAreCut) {
  const Bytes bytes = Joined(
      {ClientFlags(), OptionBytes(testing::kStructuredReply), OptionBytes(testing::kList),
       OptionBytes(testing::kList, std::string(9000, 'x')), AskFor(testing::kInfo, "nothing"),
       AskFor(testing::kInfo, "photos", {1, 2, 3}), AskFor(testing::kGo, "old@may", {3})});
  Talk whole;
  Talk cut;
  EXPECT_EQ(whole.Send(bytes), Session::Step::kEntered);
  EXPECT_EQ(cut.SendByteByByte(bytes), Session::Step::kEntered);
  EXPECT_EQ(whole.sent(), cut.sent());
}

// ---- structured replies and metadata contexts

const Bytes kAskStructured = OptionBytes(testing::kStructuredReply);
using testing::AskForContexts;
using testing::kListMetaContext;
using testing::kSetMetaContext;

/// The answers to `option` after structured replies were agreed on.
std::vector<OptionAnswer> StructuredAnswersTo(const Bytes& option) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), kAskStructured, option})), Session::Step::kNeedBytes);
  auto answers = talk.answers();
  EXPECT_EQ(answers.at(0).type, testing::kAck);
  answers.erase(answers.begin());
  return answers;
}

TEST(Handshake, StructuredRepliesAreAgreedOnOnceAndWithoutData) {
  EXPECT_EQ(AnswerTo(kAskStructured).type, testing::kAck);
  EXPECT_EQ(AnswerTo(OptionBytes(testing::kStructuredReply, "x")).type, testing::kErrInvalid);
  EXPECT_EQ(StructuredAnswersTo(kAskStructured).at(0).type, testing::kErrInvalid);
}

TEST(Handshake, DontFragmentIsOfferedWithStructuredRepliesOnly) {
  for (const bool structured : {false, true}) {
    Talk talk;
    const Bytes ask = structured ? kAskStructured : Bytes{};
    talk.Send(Joined({ClientFlags(), ask, AskFor(testing::kGo, "photos")}));
    const auto answers = talk.answers();
    const OptionAnswer& info = answers.at(answers.size() - 2);
    EXPECT_EQ(Get(AsBytes(info.data), 10, 2) >> 7 & 1, structured ? 1u : 0u);
    EXPECT_EQ(talk.session().agreement().replies,
              structured ? ReplyStyle::kStructured : ReplyStyle::kSimple);
  }
}

TEST(Handshake, ExtendedHeadersAreAgreedOnOnceAndWithoutData) {
  const Bytes ask = OptionBytes(testing::kExtendedHeaders);
  EXPECT_EQ(AnswerTo(ask).type, testing::kAck);
  EXPECT_EQ(AnswerTo(OptionBytes(testing::kExtendedHeaders, "x")).type, testing::kErrInvalid);
  EXPECT_EQ(StructuredAnswersTo(ask).at(0).type, testing::kAck);
  Talk talk;
  talk.Send(Joined({ClientFlags(), ask, ask, kAskStructured, AskFor(testing::kGo, "photos")}));
  const auto answers = talk.answers();
  ASSERT_EQ(answers.size(), 5u);
  EXPECT_EQ(answers[1].type, testing::kErrInvalid);
  EXPECT_EQ(answers[2].type, testing::kErrExtendedHeaders);  // no way back
  EXPECT_EQ(talk.session().agreement().replies, ReplyStyle::kExtended);
  // DF, but no choice among contexts: none was selected.
  EXPECT_EQ(Get(AsBytes(answers[3].data), 10, 2) & (1u << 7 | 1u << 12), 1u << 7);
}

TEST(Handshake, WithExtendedHeadersTheSelectedContextsMayBeChosenAmong) {
  const auto flag = [](const Bytes& options, std::string_view name = "photos") {
    Talk talk;
    talk.Send(Joined({ClientFlags(), options, AskFor(testing::kGo, name)}));
    const auto answers = talk.answers();
    return Get(AsBytes(answers.at(answers.size() - 2).data), 10, 2) >> 12 & 1;
  };
  const Bytes extended = OptionBytes(testing::kExtendedHeaders);
  const Bytes set = AskForContexts(kSetMetaContext, "photos", {"base:allocation"});
  EXPECT_EQ(flag(Joined({extended, set})), 1u);
  EXPECT_EQ(flag(Joined({extended, set}), "old@may"), 0u);
  EXPECT_EQ(flag(Joined({extended, set, AskForContexts(kSetMetaContext, "photos", {})})), 0u);
  EXPECT_EQ(flag(Joined({kAskStructured, set})), 0u);
  EXPECT_EQ(flag(Joined({kAskStructured, set, extended})), 1u);
}

TEST(Handshake, ExportNameAfterExtendedHeadersEndsIt) {
  Talk talk;
  EXPECT_EQ(talk.Send(Joined({ClientFlags(), OptionBytes(testing::kExtendedHeaders),
                              OptionBytes(testing::kExportName, "photos")})),
            Session::Step::kBroken);
  EXPECT_FALSE(talk.session().negotiated());
  EXPECT_EQ(talk.sent().size(), testing::kGreeting + 20);
}

TEST(Handshake, NamesOfSnapshotsAreKeptForThemAndRefusedInWords) {
  for (const std::uint32_t option : {testing::kInfo, testing::kGo}) {
    const OptionAnswer answer = AnswerTo(AskFor(option, "photos@monday"));
    EXPECT_EQ(answer.type, testing::kErrUnknown);
    EXPECT_EQ(answer.data,
              "\"photos@monday\" names a snapshot, and snapshots are not exported: ask for "
              "\"photos\", the volume as it is now");
  }
}

TEST(Handshake, ContextsNeedStructuredReplies) {
  for (const std::uint32_t option : {kListMetaContext, kSetMetaContext}) {
    EXPECT_EQ(AnswerTo(AskForContexts(option, "photos", {"base:allocation"})).type,
              testing::kErrInvalid);
  }
}

TEST(Handshake, ContextsAreListedByNameByNamespaceOrAll) {
  const auto listed = [](const std::vector<std::string>& queries) {
    const auto answers = StructuredAnswersTo(AskForContexts(kListMetaContext, "photos", queries));
    EXPECT_EQ(answers.back().type, testing::kAck);
    if (answers.size() == 1) return false;
    EXPECT_EQ(answers.size(), 2u);
    EXPECT_EQ(answers[0].type, testing::kMetaContextReply);
    EXPECT_EQ(answers[0].data, std::string("\0\0\0\0base:allocation", 19));
    return true;
  };
  EXPECT_TRUE(listed({}));
  EXPECT_TRUE(listed({"base:allocation"}));
  EXPECT_TRUE(listed({"base:"}));
  EXPECT_TRUE(listed({"qemu:", "base:allocation", "base:"}));
  EXPECT_FALSE(listed({"base:alloc"}));
  EXPECT_FALSE(listed({"qemu:dirty-bitmap:monday", "x-other:"}));
}

TEST(Handshake, AContextIsSelectedByItsFullNameOnly) {
  const auto selected = [](const std::vector<std::string>& queries) {
    const auto answers = StructuredAnswersTo(AskForContexts(kSetMetaContext, "photos", queries));
    EXPECT_EQ(answers.back().type, testing::kAck);
    if (answers.size() > 1) {
      EXPECT_EQ(answers[0].data, std::string("\0\0\0\1base:allocation", 19));
    }
    return answers.size() - 1;
  };
  EXPECT_EQ(selected({"base:allocation"}), 1u);
  EXPECT_EQ(selected({"base:allocation", "base:allocation"}), 1u);
  EXPECT_EQ(selected({"qemu:dirty-bitmap:x", "base:allocation"}), 1u);
  EXPECT_EQ(selected({}), 0u);
  EXPECT_EQ(selected({"base:"}), 0u);
}

TEST(Handshake, SelectedContextsHoldForThatExportAndUntilTheNextSelection) {
  const Bytes set = AskForContexts(kSetMetaContext, "photos", {"base:allocation"});
  const auto count = [](const Bytes& options, std::string_view name = "photos") {
    Talk talk;
    EXPECT_EQ(
        talk.Send(Joined({ClientFlags(), kAskStructured, options, AskFor(testing::kGo, name)})),
        Session::Step::kEntered);
    return talk.session().agreement().contexts.size();
  };
  EXPECT_EQ(count(set), 1u);
  EXPECT_EQ(count(set, "old@may"), 0u);
  EXPECT_EQ(count(Joined({set, AskForContexts(kSetMetaContext, "photos", {})})), 0u);
  EXPECT_EQ(count(Joined({set, AskForContexts(kListMetaContext, "photos", {})})), 1u);
  // Also when the next one fails.
  EXPECT_EQ(count(Joined({set, AskForContexts(kSetMetaContext, "none", {"base:allocation"})})), 0u);
  EXPECT_EQ(count(Joined({set, OptionBytes(kSetMetaContext, "lies")})), 0u);
  EXPECT_EQ(count(Joined({set, OptionBytes(kSetMetaContext, std::string(5000, 'x'))})), 0u);
}

TEST(Handshake, BadContextOptionsAreRefusedAndTheTalkGoesOn) {
  for (const std::uint32_t option : {kListMetaContext, kSetMetaContext}) {
    const auto refusal = [option](const Bytes& bytes) {
      const auto answers = StructuredAnswersTo(bytes);
      EXPECT_EQ(answers.size(), 1u) << option;
      return answers.at(0).type;
    };
    const auto raw = [&](std::string_view data) { return refusal(OptionBytes(option, data)); };
    EXPECT_EQ(raw(""), testing::kErrInvalid);
    EXPECT_EQ(raw({"\0\0\0\6photos", 10}), testing::kErrInvalid);
    EXPECT_EQ(raw({"\0\0\0\6photos\0\0\0", 13}), testing::kErrInvalid);
    EXPECT_EQ(raw({"\0\0\0\6photos\0\0\0\1", 14}), testing::kErrInvalid);
    EXPECT_EQ(raw({"\0\0\0\6photos\0\0\0\1\0\0\0\6base:", 23}), testing::kErrInvalid);
    EXPECT_EQ(raw({"\xff\xff\xff\xffphotos\0\0\0\0", 14}), testing::kErrInvalid);
    EXPECT_EQ(raw({"\0\0\0\6photos\xff\xff\xff\xff", 14}), testing::kErrInvalid);
    EXPECT_EQ(raw({"\0\0\0\6photos\0\0\0\1\xff\xff\xff\xffqemu:", 23}), testing::kErrInvalid);
    EXPECT_EQ(raw({"\0\0\0\6photos\0\0\0\0x", 15}), testing::kErrInvalid);
    EXPECT_EQ(refusal(AskForContexts(option, "photos", {"nocolon"})), testing::kErrInvalid);
    EXPECT_EQ(refusal(AskForContexts(option, "photos", {""})), testing::kErrInvalid);
    EXPECT_EQ(refusal(AskForContexts(option, "nothing", {"base:allocation"})),
              testing::kErrUnknown);
    EXPECT_EQ(refusal(AskForContexts(option, std::string(256, 'n'), {})), testing::kErrTooBig);
    EXPECT_EQ(refusal(AskForContexts(option, "photos", std::vector<std::string>(65, "a:b"))),
              testing::kErrTooBig);
    EXPECT_EQ(refusal(AskForContexts(option, "photos", {std::string(4096, 'q') + ":"})),
              testing::kErrTooBig);
  }
}

}  // namespace
}  // namespace coffer::nbd
