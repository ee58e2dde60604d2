// WebDavStore and a server that lies, refuses, or takes no password: the rows of faults.md that a
// WebDAV server can show.
#include "tests/store/webdav_world.h"

namespace coffer::store {
namespace {

// --- Bodies and ranges (rows 34-37, 50) ----------------------------------------------------------

TEST_F(WebDavStoreTest, TakesNoOtherRangeThanWasAskedFor) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "0123456789"));
  const auto range_is = [](std::string text) {
    return [text](Response& response) {
      for (http::Header& header : response.headers) {
        if (header.name == "Content-Range") header.value = text;
      }
    };
  };
  for (const char* text : {"bytes 3-6/10", "bytes 2-4/10", "bytes 2-6/10", "bytes 2-5/4",
                           "bytes 2-5", "chars 2-5/10", "bytes 5-2/10", "", "bytes 2-5/x"}) {
    EXPECT_EQ(ErrorOfRange(range_is(text)).code, ErrorCode::kUnavailable) << text;
  }
  EXPECT_EQ(ErrorOfRange([](Response& response) { response.headers.clear(); }).code,
            ErrorCode::kUnavailable);
  EXPECT_EQ(ErrorOfRange([](Response& response) { response.body.pop_back(); }).code,
            ErrorCode::kUnavailable);
  EXPECT_EQ(ErrorOfRange([](Response& response) { response.body.resize(9); }).code,
            ErrorCode::kUnavailable);
  EXPECT_EQ(ErrorOfRange([](Response& response) { response.status = 200; }).code,
            ErrorCode::kUnavailable);
  EXPECT_EQ(ErrorOfRange([](Response& response) {
              response.headers.push_back({"Content-Encoding", "gzip"});
            }).code,
            ErrorCode::kUnavailable);
  ASSERT_OK(store_->GetRange({}, "packs/aa/x", 2, 4));
}

TEST_F(WebDavStoreTest, TakesTheSizeUnknownAndTheEndOfAnObject) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "0123456789"));
  ASSERT_OK_AND_ASSIGN(const Bytes end, store_->GetRange({}, "packs/aa/x", 8, 100));
  EXPECT_EQ(AsText(end), "89");
  server_->change_answer = [](const Request&, Response& response) {
    for (http::Header& header : response.headers) {
      if (header.name == "Content-Range") header.value = "bytes 2-5/*";
    }
  };
  EXPECT_OK(store_->GetRange({}, "packs/aa/x", 2, 4));
}

TEST_F(WebDavStoreTest, AWebPageIsNoObject) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  const Error got = ErrorOfGet(WebPage(200));
  EXPECT_EQ(got.code, ErrorCode::kUnavailable);
  EXPECT_TRUE(Has(got.message, "a web page came instead")) << got.message;
  EXPECT_EQ(ErrorOfPut(WebPage(200)).code, ErrorCode::kUnavailable);
  AnswerWith("PROPFIND", WebPage(200));
  EXPECT_FAILS(store_->List({}, "packs/", "", 10), kUnavailable);
  EXPECT_FAILS(store_->Delete({}, "packs/aa/x"), kUnavailable);
}

TEST_F(WebDavStoreTest, OddETagsChangeNothing) {
  Open();
  server_->change_answer = [](const Request&, Response& response) {
    response.headers.push_back({"ETag", "W/\"\x01nonsense"});
  };
  ASSERT_OK(Create("packs/aa/x", "x"));
  EXPECT_OK(store_->Get({}, "packs/aa/x", 10));
}

TEST_F(WebDavStoreTest, ADeleteThatWasDoneInPartIsNoSuccess) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  AnswerWith("DELETE", PlainAnswer(207));
  EXPECT_FAILS(store_->Delete({}, "packs/aa/x"), kUnavailable);
}

// --- Refusals (rows 28, 42-46, 51) ---------------------------------------------------------------

TEST_F(WebDavStoreTest, SaysWhetherARetryMayHelpAndWhen) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  for (const int status : {408, 423, 425, 500, 502, 504, 520}) {
    EXPECT_EQ(ErrorOfGet(PlainAnswer(status)).code, ErrorCode::kUnavailable) << status;
    EXPECT_EQ(ErrorOfPut(PlainAnswer(status)).code, ErrorCode::kUnavailable) << status;
  }
  for (const int status : {429, 503}) {
    const Error error = ErrorOfPut(With(status, "Retry-After", "7"));
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_EQ(error.cause, ErrorCause::kThrottled);
    EXPECT_EQ(error.retry_after, Duration(std::chrono::seconds(7)));
  }
}

TEST_F(WebDavStoreTest, SaysWhatIsFullOrTooLong) {
  Open();
  EXPECT_EQ(ErrorOfPut(PlainAnswer(507)).code, ErrorCode::kNoSpace);
  const Error too_long = ErrorOfPut(PlainAnswer(413));
  EXPECT_EQ(too_long.code, ErrorCode::kNoSpace);
  EXPECT_TRUE(Has(too_long.hint, "limit for uploads"));
}

TEST_F(WebDavStoreTest, SaysForWhatThereIsNoPermission) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  const Error put = ErrorOfPut(PlainAnswer(403));
  EXPECT_EQ(put.code, ErrorCode::kUnauthenticated);
  EXPECT_EQ(put.cause, ErrorCause::kCredentials);
  EXPECT_TRUE(Has(put.message, "no permission to create it")) << put.message;
  AnswerWith("DELETE", PlainAnswer(403));
  const Status deleted = store_->Delete({}, "packs/aa/x");
  ASSERT_FAILS(deleted, kUnauthenticated);
  EXPECT_TRUE(Has(deleted.error().message, "no permission to delete it"));
}

TEST_F(WebDavStoreTest, FollowsNoRedirectAndSaysWhereItLeads) {
  Open();
  const Error error = ErrorOfGet(With(302, "Location", "https://login.example/?token=secret#part"));
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_TRUE(Has(error.message, "https://login.example/")) << error.message;
  EXPECT_FALSE(Has(error.message, "secret"));
  EXPECT_EQ(ErrorOfGet(With(301, "Location", "https://elsewhere.example/")).code,
            ErrorCode::kInvalidArgument);
}

TEST_F(WebDavStoreTest, ShowsTheServersOwnWordsWithoutControlCharacters) {
  Open();
  const std::string sabre =
      "<?xml version=\"1.0\"?><d:error xmlns:d=\"DAV:\" xmlns:s=\"http://sabredav.org/ns\">"
      "<s:exception>Sabre\\DAV\\Exception\\ServiceUnavailable</s:exception>"
      "<s:message>System in maintenance mode.\x1b[31m</s:message></d:error>";
  const Error error = ErrorOfGet(With(503, "Content-Type", "application/xml", sabre));
  EXPECT_TRUE(Has(error.message, "System in maintenance mode.")) << error.message;
  EXPECT_FALSE(Has(error.message, "\x1b"));
}

TEST_F(WebDavStoreTest, AnEndlessListIsBounded) {
  Open();
  server_->answer_instead = [](const Request& request) -> std::optional<Result<Response>> {
    if (request.method != "PROPFIND") return std::nullopt;
    EXPECT_LE(request.body_bytes_max, kMultistatusBytesMax);
    return Result<Response>(Fail(ErrorCode::kCorruption, "too long"));
  };
  EXPECT_FAILS(store_->List({}, "packs/", "", 10), kUnsupported);
}

// --- Credentials (row 43) ------------------------------------------------------------------------

class WebDavLoginTest : public WebDavStoreTest {
 protected:
  WebDavLoginTest() {
    FakeWebDavOptions options;
    options.user = "ann";
    options.password = "right";
    Start(std::move(options));
    fs_.AddDirectories("/home/ann");
    Write("right\n");
  }
  void Write(std::string_view text) {
    EXPECT_OK(ReplaceFile(fs_, "/home/ann/password", AsBytes(text)));
  }
};

TEST_F(WebDavLoginTest, LogsInWithTheFirstLineOfTheFile) {
  Write("right\r\na note\n");
  Open(kUrlOfAnn);
  EXPECT_OK(Create("packs/aa/x", "x"));
  EXPECT_FALSE(Has(store_->description(), "password"));
}

TEST_F(WebDavLoginTest, SaysThatTheyAreNotTakenAndWhereTheyAre) {
  Write("wrong\n");
  const auto opened = TryOpen(StoreOpenMode::kForInit, kUrlOfAnn);
  ASSERT_FAILS(opened, kUnauthenticated);
  EXPECT_EQ(opened.error().cause, ErrorCause::kCredentials);
  EXPECT_TRUE(Has(opened.error().hint, "/home/ann/password")) << opened.error().hint;
  EXPECT_FALSE(Has(opened.error().message, "wrong"));
  const auto nobody = TryOpen(StoreOpenMode::kForInit);
  ASSERT_FAILS(nobody, kUnauthenticated);
  EXPECT_TRUE(Has(nobody.error().hint, "credentials_file=")) << nobody.error().hint;
}

TEST_F(WebDavLoginTest, TakesANewPasswordWithoutARestart) {
  Open(kUrlOfAnn);
  server_->SetPassword("new");
  EXPECT_FAILS(Create("packs/aa/x", "x"), kUnauthenticated);
  Write("new\n");
  EXPECT_OK(Create("packs/aa/x", "x"));
  EXPECT_OK(Create("packs/aa/y", "y"));
}

TEST_F(WebDavLoginTest, RefusesAFileThatIsNoSecret) {
  for (const char* text : {"", "\n", "\r\n"}) {
    Write(text);
    EXPECT_FAILS(TryOpen(StoreOpenMode::kForInit, kUrlOfAnn), kUnauthenticated);
  }
  Write(std::string("a\0b", 3));
  EXPECT_FAILS(TryOpen(StoreOpenMode::kForInit, kUrlOfAnn), kUnauthenticated);
  ASSERT_OK(fs_.Remove("/home/ann/password"));
  const auto missing = TryOpen(StoreOpenMode::kForInit, kUrlOfAnn);
  ASSERT_FAILS(missing, kUnauthenticated);
  EXPECT_TRUE(Has(missing.error().message, "/home/ann/password")) << missing.error().message;
  EXPECT_EQ(CountOf("PUT"), 0U);
}

// --- Read-only over HTTPS ------------------------------------------------------------------------

class WebStoreTest : public WebDavStoreTest {
 protected:
  static constexpr char kMirror[] = "https://mirror.example/coffer";
  void Publish(bool has_propfind) {
    FakeWebDavOptions options;
    options.origin = "https://mirror.example";
    options.has_propfind = has_propfind;
    Start(std::move(options));
    for (const char* path : {"/coffer", "/coffer/packs", "/coffer/packs/aa"}) {
      server_->AddCollection(path);
    }
    server_->AddFile("/coffer/vault", "marker");
    server_->AddFile("/coffer/packs/aa/x", "0123456789");
  }
};

TEST_F(WebStoreTest, ReadsAndListsAndNeverWrites) {
  Publish(true);
  store_ = Another(StoreOpenMode::kExisting, kMirror);
  ASSERT_NE(store_, nullptr);
  EXPECT_TRUE(store_->capabilities().read_only);
  ASSERT_OK_AND_ASSIGN(const Bytes range, store_->GetRange({}, "packs/aa/x", 3, 2));
  EXPECT_EQ(AsText(range), "34");
  ASSERT_OK_AND_ASSIGN(const ListPage page, store_->List({}, "packs/", "", 10));
  EXPECT_EQ(page.names(), (Lines{"packs/aa/x"}));
  EXPECT_FAILS(Create("packs/aa/y", "y"), kUnsupported);
  EXPECT_FAILS(Create("heads/aa/y", "y", ObjectClass::kHead), kUnsupported);
  EXPECT_FAILS(store_->Delete({}, "packs/aa/x"), kUnsupported);
  EXPECT_FAILS(TryOpen(StoreOpenMode::kForInit, kMirror), kUnsupported);
  EXPECT_EQ(CountOf("PUT") + CountOf("DELETE") + CountOf("MKCOL"), 0U);
}

TEST_F(WebStoreTest, SaysOfAServerThatCannotListThatItCannot) {
  Publish(false);
  store_ = Another(StoreOpenMode::kExisting, kMirror);
  ASSERT_NE(store_, nullptr);
  for (const Response& answer :
       {PlainAnswer(405), PlainAnswer(501), PlainAnswer(403), PlainAnswer(400), WebPage(200)}) {
    AnswerWith("PROPFIND", answer);
    const auto listed = store_->List({}, "packs/", "", 10);
    ASSERT_FAILS(listed, kUnsupported) << answer.status;
    EXPECT_TRUE(Has(listed.error().message, "cannot list")) << listed.error().message;
  }
}

}  // namespace
}  // namespace coffer::store
