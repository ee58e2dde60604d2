// S3Store against a server in memory that checks every signature, and lies when told: the rows of
// faults.md that an S3 server can show.
#include "core/store/s3_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "core/base/log.h"
#include "core/store/probe.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_s3.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::store {
namespace {

using http::Request;
using http::Response;

/// Keys that a test changes as a person would.
class KeysInHand final : public S3CredentialsSource {
 public:
  explicit KeysInHand(const std::string& access) { Replace(access, "secret", ""); }
  Result<std::shared_ptr<const S3Keys>> Get() override { return held_; }
  void Reload() override {
    ++reloads;
    held_ = next_;
  }
  void Replace(const std::string& access, const std::string& secret, const std::string& token) {
    next_ = std::make_shared<const S3Keys>(
        S3Keys{access, SecretBytes::CopyOf(AsBytes(secret)), SecretBytes::CopyOf(AsBytes(token))});
    if (held_ == nullptr) held_ = next_;
  }
  int reloads = 0;

 private:
  std::shared_ptr<const S3Keys> held_;
  std::shared_ptr<const S3Keys> next_;
};

class S3StoreTest : public testing::Test {
 protected:
  S3StoreTest() { Open("s3://bucket/backups?endpoint=http://127.0.0.1:9000", {}); }

  void Open(const std::string& text, FakeS3Options options) {
    const auto url = ParseStoreUrl(text, "/", S3Schemes());
    ASSERT_OK(url);
    const auto settings = ResolveS3(fs_, {}, "/home/ann", *url);
    ASSERT_OK(settings);
    server_ = std::make_unique<FakeS3>(std::move(options));
    server_->AddKeys("AKIA", "secret");
    auto keys = std::make_unique<KeysInHand>("AKIA");
    keys_ = keys.get();
    store_ = std::make_unique<S3Store>(*settings, std::move(keys), *server_, clock_);
  }

  Status Create(const std::string& name, std::string_view text,
                ObjectClass object_class = ObjectClass::kData) {
    return store_->Create({}, name, AsBytes(text), object_class);
  }
  void AnswerWith(const Response& response) {
    server_->answer_instead = [response](const Request&) { return response; };
  }
  /// What each call says to one answer.
  std::vector<Error> ErrorsFor(const Response& response) {
    AnswerWith(response);
    std::vector<Error> errors;
    const auto note = [&](const auto& result) {
      ASSERT_FALSE(result.has_value());
      errors.push_back(result.error());
    };
    note(Create("t/new", "x"));
    note(store_->Get({}, "t/a", 10));
    note(store_->GetRange({}, "t/a", 0, 1));
    note(store_->List({}, "t/", "", 10));
    note(store_->Delete({}, "t/a"));
    note(store_->DeleteMany({}, {"t/a"}).front());
    server_->answer_instead = nullptr;
    return errors;
  }
  Error ErrorOfGet(const Response& response) { return ErrorsFor(response)[1]; }

  static std::string Header(const Request& request, std::string_view name) {
    for (const http::Header& header : request.headers) {
      if (header.name == name) return header.value;
    }
    return "";
  }

  FaultyFileSystem fs_;
  FakeClock clock_;
  std::unique_ptr<FakeS3> server_;
  KeysInHand* keys_ = nullptr;
  std::unique_ptr<S3Store> store_;
};

TEST_F(S3StoreTest, AsksOnceForEachCall) {
  ASSERT_OK(Create("t/a", "0123456789"));
  EXPECT_OK(store_->Get({}, "t/a", 10));
  EXPECT_OK(store_->GetRange({}, "t/a", 2, 3));
  EXPECT_OK(store_->List({}, "t/", "", 10));
  EXPECT_OK(store_->DeleteMany({}, {"t/a", "t/b", "t/c"})[2]);
  EXPECT_OK(store_->Delete({}, "t/a"));
  std::vector<std::string> asked;
  for (const Request& request : server_->requests()) {
    asked.push_back(request.method + " " + request.url.substr(21));
    EXPECT_EQ(request.redirects_max, 0);
  }
  EXPECT_EQ(asked,
            (std::vector<std::string>{"PUT /bucket/backups/t/a", "GET /bucket/backups/t/a",
                                      "GET /bucket/backups/t/a",
                                      "GET /bucket?list-type=2&max-keys=10&prefix=backups%2Ft%2F",
                                      "POST /bucket?delete=", "DELETE /bucket/backups/t/a"}));
}

TEST_F(S3StoreTest, PutsTheBucketIntoTheHost) {
  Open("s3://bucket/a%20b?region=eu-west-1", {.origin = "https://bucket.s3.eu-west-1.amazonaws.com",
                                              .base_path = "",
                                              .region = "eu-west-1"});
  ASSERT_OK(Create("t/a", "x"));
  EXPECT_TRUE(server_->Find("a b/t/a").has_value());
  EXPECT_EQ(store_->List({}, "", "", 10)->names(), std::vector<std::string>{"t/a"});
}

TEST_F(S3StoreTest, PutsPacksAloneIntoTheStorageClass) {
  Open("s3://bucket?endpoint=http://127.0.0.1:9000&storage_class=STANDARD_IA", {});
  ASSERT_OK(Create("packs/aa/x", "x", ObjectClass::kData));
  ASSERT_OK(Create("heads/x", "x", ObjectClass::kHead));
  ASSERT_OK(Create("keys/x", "x", ObjectClass::kControl));
  EXPECT_EQ(server_->Find("packs/aa/x")->storage_class, "STANDARD_IA");
  EXPECT_EQ(server_->Find("heads/x")->storage_class, "");
  EXPECT_EQ(server_->Find("keys/x")->storage_class, "");
}

TEST_F(S3StoreTest, SpeaksGooglesDialect) {
  Open("gs://bucket?endpoint=http://127.0.0.1:9000&region=us-east-1&storage_class=NEARLINE",
       {.dialect = S3Dialect::kGoogle});
  ASSERT_OK(Create("t/a", "x"));
  EXPECT_FAILS(Create("t/a", "y"), kAlreadyExists);
  EXPECT_EQ(server_->Find("t/a")->storage_class, "NEARLINE");
  EXPECT_EQ(Header(server_->requests()[0], "x-goog-if-generation-match"), "0");
  EXPECT_EQ(Header(server_->requests()[0], "If-None-Match"), "");
}

TEST_F(S3StoreTest, PassesTheProbe) {
  SeededRandom random(1);
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(*store_, random));
  EXPECT_EQ(report.strength, StoreStrength::kStrong) << report.reason;
}

// Row 42.

TEST_F(S3StoreTest, IsWeakWhereTheServerHasNoConditions) {
  Open("s3://bucket?endpoint=http://127.0.0.1:9000", {.has_conditions = false});
  SeededRandom random(1);
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(*store_, random));
  EXPECT_EQ(report.strength, StoreStrength::kWeak);
  ASSERT_OK(Create("t/a", "first"));
  EXPECT_FAILS(Create("t/a", "second"), kAlreadyExists);
  EXPECT_EQ(AsText(*store_->Get({}, "t/a", 10)), "first");
}

TEST_F(S3StoreTest, NeverFallsBackOnceTheConditionHasWorked) {
  ASSERT_OK(Create("t/a", "x"));
  AnswerWith(S3Error(501, "NotImplemented"));
  EXPECT_FAILS(Create("t/b", "x"), kUnsupported);
  EXPECT_EQ(store_->capabilities().strength, StoreStrength::kStrong);
}

TEST_F(S3StoreTest, ProbeFindsAServerThatIgnoresTheCondition) {
  std::string kept;
  server_->answer_instead = [&](const Request& request) -> std::optional<Response> {
    if (request.method != "PUT") return std::nullopt;
    const std::size_t key = request.url.find("backups/");
    server_->Put(request.url.substr(key), AsText(request.body));
    Response response;
    response.status = 200;
    return response;
  };
  SeededRandom random(1);
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(*store_, random));
  EXPECT_EQ(report.strength, StoreStrength::kWeak);
}

TEST_F(S3StoreTest, TellsAnObjectThatExistsFromOneThatIsBeingMade) {
  for (const int status : {412, 304}) {
    Response response;
    response.status = status;
    AnswerWith(response);
    EXPECT_FAILS(Create("t/a", "x"), kAlreadyExists) << status;
    EXPECT_FAILS(store_->Get({}, "t/a", 10), kUnavailable) << status;
  }
  AnswerWith(S3Error(409, "ConditionalRequestConflict"));
  EXPECT_FAILS(Create("t/a", "x"), kUnavailable);
}

// Row 34.

TEST_F(S3StoreTest, TakesNoOtherRangeThanItAskedFor) {
  ASSERT_OK(Create("t/a", "0123456789"));
  const auto change = [this](auto edit) {
    server_->change_answer = [edit](const Request&, Response& response) { edit(response); };
    return store_->GetRange({}, "t/a", 2, 4);
  };
  const auto set = [](Response& response, const std::string& name, const std::string& value) {
    std::erase_if(response.headers, [&](const auto& header) { return header.name == name; });
    response.headers.push_back({name, value});
  };
  const auto drop_length = [](Response& response) {
    std::erase_if(response.headers, [](const auto& h) { return h.name == "Content-Length"; });
  };
  EXPECT_OK(change([](Response&) {}));
  EXPECT_FAILS(change([](Response& r) { r.status = 200; }), kUnavailable);
  for (const char* range : {"bytes 3-6/10", "bytes 2-4/10", "bytes 2-6/10", "bytes 2-5/*", "2-5/10",
                            "bytes 2-5/2", "bytes 2-5", "bytes -5/10", "bytes 2-5/4", ""}) {
    EXPECT_FAILS(change([&](Response& r) { set(r, "Content-Range", range); }), kUnavailable)
        << range;
  }
  EXPECT_FAILS(change([&](Response& r) {
                 drop_length(r);
                 r.body.resize(3);
               }),
               kUnavailable);
  EXPECT_FAILS(change([&](Response& r) {
                 drop_length(r);
                 r.body.resize(5);
               }),
               kUnavailable);
  EXPECT_FAILS(change([](Response& r) { r.body.resize(3); }), kUnavailable);
}

TEST_F(S3StoreTest, TakesNoBodyThatIsNotAsLongAsPromised) {
  ASSERT_OK(Create("t/a", "0123456789"));
  server_->change_answer = [](const Request&, Response& response) { response.body.resize(9); };
  EXPECT_FAILS(store_->Get({}, "t/a", 100), kUnavailable);
  server_->change_answer = [](const Request&, Response& response) { response.status = 206; };
  EXPECT_FAILS(store_->Get({}, "t/a", 100), kUnavailable);
}

// Row 36.

TEST_F(S3StoreTest, BelievesNoETag) {
  server_->change_answer = [](const Request&, Response& response) {
    response.headers.push_back({"ETag", "\"d41d8cd98f00b204e9800998ecf8427e\""});
  };
  ASSERT_OK(Create("t/a", "x"));
  EXPECT_OK(store_->Get({}, "t/a", 10));
}

TEST_F(S3StoreTest, SaysWhatBytesToExpect) {
  server_->answer_instead = [this](const Request& request) -> std::optional<Response> {
    if (request.method != "PUT") return std::nullopt;
    Request changed = request;
    changed.body = AsBytes("other bytes");
    server_->answer_instead = nullptr;
    return *server_->Perform({}, changed);
  };
  EXPECT_FAILS(Create("t/a", "some bytes!"), kUnavailable);
  EXPECT_FALSE(server_->Find("backups/t/a").has_value());
}

// Rows 37 and 50.

TEST_F(S3StoreTest, TakesNoErrorForASuccessWhateverItsStatus) {
  for (const Error& error : ErrorsFor(S3Error(200, "InternalError"))) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable) << error.message;
    EXPECT_NE(error.message.find("InternalError"), std::string::npos) << error.message;
  }
  for (const Error& error : ErrorsFor(S3Error(200, "SlowDown"))) {
    EXPECT_EQ(error.cause, ErrorCause::kThrottled) << error.message;
  }
}

TEST_F(S3StoreTest, TakesNoWebPageForAnAnswer) {
  for (const int status : {200, 302, 403, 404, 511}) {
    for (const Error& error : ErrorsFor(HtmlPage(status))) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable) << status << error.message;
      EXPECT_NE(error.message.find("web page"), std::string::npos) << error.message;
    }
  }
}

TEST_F(S3StoreTest, FollowsNoRedirect) {
  Response response;
  response.status = 302;
  response.headers = {{"Location", "https://evil.example/\x1b[31m"}};
  for (const Error& error : ErrorsFor(response)) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_NE(error.message.find("evil.example"), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find('\x1b'), std::string::npos);
  }
}

TEST_F(S3StoreTest, TakesAn404WithoutS3sCodeForNoAnswer) {
  Response response;
  response.status = 404;
  for (const Error& error : ErrorsFor(response)) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable) << error.message;
  }
}

// Row 40; what a page may hold is s3_list_test's.

TEST_F(S3StoreTest, GoesOnBehindTheObjectsOfOthers) {
  for (int i = 0; i < 2500; ++i) server_->Put(Concat("backups/t/A", 10000 + i), "another's");
  ASSERT_OK(Create("t/a", "x"));
  ASSERT_OK(Create("t/b", "x"));
  ASSERT_OK_AND_ASSIGN(const ListPage page, store_->List({}, "t/", "", 2));
  EXPECT_EQ(page.names(), (std::vector<std::string>{"t/a", "t/b"}));
  EXPECT_FALSE(page.more);
}

Response ListOf(const std::string& inside) {
  Response response;
  response.status = 200;
  response.body = ToBytes(AsBytes("<ListBucketResult><IsTruncated>true</IsTruncated>" + inside +
                                  "</ListBucketResult>"));
  return response;
}

TEST_F(S3StoreTest, EndsAListThatDoesNotEnd) {
  AnswerWith(ListOf(""));
  EXPECT_FAILS(store_->List({}, "t/", "", 10), kUnavailable);
  AnswerWith(ListOf("<NextContinuationToken>x</NextContinuationToken>"));
  EXPECT_FAILS(store_->List({}, "t/", "", 10), kUnsupported);
  const std::size_t before = server_->request_count();
  AnswerWith(ListOf("<Contents><Key>backups/t/a</Key><Size>1</Size></Contents>"));
  EXPECT_FAILS(store_->List({}, "t/", "", 10), kUnsupported);  // the same again
  EXPECT_LE(server_->request_count() - before, 2U);
}

// Row 28.

TEST_F(S3StoreTest, TellsThrottlingAndForHowLong) {
  Response slow = S3Error(503, "SlowDown");
  slow.headers.push_back({"Retry-After", "7"});
  for (const Error& error : ErrorsFor(slow)) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_EQ(error.cause, ErrorCause::kThrottled);
    EXPECT_EQ(error.retry_after, Duration(std::chrono::seconds(7)));
  }
  Response plain;
  plain.status = 429;
  EXPECT_EQ(ErrorOfGet(plain).cause, ErrorCause::kThrottled);
  for (const int status : {500, 502, 504}) {
    plain.status = status;
    EXPECT_EQ(ErrorOfGet(plain).code, ErrorCode::kUnavailable);
    EXPECT_EQ(ErrorOfGet(plain).cause, ErrorCause::kOther);
  }
}

// Row 43.

TEST_F(S3StoreTest, TakesReplacedKeysWithoutARestart) {
  ASSERT_OK(Create("t/a", "x"));
  server_->DropKeys("AKIA");
  server_->AddKeys("AKIB", "other", "token");
  keys_->Replace("AKIB", "other", "token");
  EXPECT_OK(store_->Get({}, "t/a", 10));
  EXPECT_EQ(keys_->reloads, 1);
  EXPECT_OK(store_->Get({}, "t/a", 10));
  EXPECT_EQ(keys_->reloads, 1);
}

TEST_F(S3StoreTest, AsksOnceMoreForKeysAndNotForEver) {
  for (const auto& [status, code] : std::vector<std::pair<int, std::string>>{
           {403, "SignatureDoesNotMatch"}, {403, "InvalidAccessKeyId"}, {400, "ExpiredToken"}}) {
    keys_->reloads = 0;
    const std::size_t before = server_->request_count();
    const std::vector<Error> errors = ErrorsFor(S3Error(status, code));
    EXPECT_EQ(server_->request_count() - before, errors.size());
    EXPECT_EQ(keys_->reloads, static_cast<int>(errors.size()));
    for (const Error& error : errors) {
      EXPECT_EQ(error.code, ErrorCode::kUnauthenticated);
      EXPECT_EQ(error.cause, ErrorCause::kCredentials);
      EXPECT_NE(error.message.find(code), std::string::npos);
      EXPECT_FALSE(error.hint.empty());
      EXPECT_EQ(error.message.find("secret,"), std::string::npos);
    }
  }
  // Other keys that are wrong too: one request more.
  keys_->Replace("AKIC", "wrong", "");
  const std::size_t before = server_->request_count();
  AnswerWith(S3Error(403, "InvalidAccessKeyId"));
  EXPECT_FAILS(store_->Get({}, "t/a", 10), kUnauthenticated);
  EXPECT_EQ(server_->request_count() - before, 2U);
}

TEST_F(S3StoreTest, TellsBothTimesWhenTheClocksDiffer) {
  server_->SetNow(clock_.WallNow() + 3600);
  const auto got = store_->Get({}, "t/a", 10);
  ASSERT_FAILS(got, kUnauthenticated);
  EXPECT_EQ(got.error().cause, ErrorCause::kCredentials);
  EXPECT_NE(got.error().message.find(DateTimeUtc(clock_.WallNow())), std::string::npos)
      << got.error().message;
  EXPECT_NE(got.error().message.find("2023-11-14T23:13:20Z"), std::string::npos);
  Response dated = S3Error(403, "RequestTimeTooSkewed");
  dated.headers.push_back({"Date", "Tue, 14 Nov 2023 23:59:59 GMT"});
  EXPECT_NE(ErrorOfGet(dated).message.find("Tue, 14 Nov 2023 23:59:59 GMT"), std::string::npos);
}

// Row 44.

TEST_F(S3StoreTest, NamesThePermissionThatIsMissing) {
  const std::vector<Error> errors = ErrorsFor(S3Error(403, "AccessDenied"));
  const std::vector<std::string> actions = {"s3:PutObject",  "s3:GetObject",    "s3:GetObject",
                                            "s3:ListBucket", "s3:DeleteObject", "s3:DeleteObject"};
  for (std::size_t i = 0; i < actions.size(); ++i) {
    EXPECT_EQ(errors[i].code, ErrorCode::kUnauthenticated);
    EXPECT_EQ(errors[i].cause, ErrorCause::kCredentials);
    EXPECT_NE(errors[i].message.find(actions[i]), std::string::npos) << errors[i].message;
  }
}

TEST_F(S3StoreTest, SaysForEachOfABatchHowItWent) {
  server_->answer_instead = [](const Request&) {
    Response response;
    response.status = 200;
    response.body = ToBytes(
        AsBytes("<DeleteResult><Deleted><Key>backups/t/a</Key></Deleted><Error><Key>backups/t/b"
                "</Key><Code>AccessDenied</Code></Error><Error><Key>backups/t/c</Key><Code>SlowDown"
                "</Code></Error></DeleteResult>"));
    return response;
  };
  const auto deleted = store_->DeleteMany({}, {"t/a", "t/b", "t/c", "t/d", "T"});
  EXPECT_OK(deleted[0]);
  EXPECT_FAILS(deleted[1], kUnauthenticated);
  EXPECT_FAILS(deleted[2], kUnavailable);
  EXPECT_EQ(deleted[2].error().cause, ErrorCause::kThrottled);
  EXPECT_FAILS(deleted[3], kUnavailable);  // not a word about it
  EXPECT_FAILS(deleted[4], kInvalidArgument);
}

TEST_F(S3StoreTest, DeletesInBatchesOfAThousand) {
  std::vector<std::string> names;
  for (int i = 0; i < 2001; ++i) {
    names.push_back(Concat("t/", i));
    server_->Put("backups/" + names.back(), "x");
  }
  for (const Status& deleted : store_->DeleteMany({}, names)) ASSERT_OK(deleted);
  EXPECT_EQ(server_->request_count(), 3U);
  EXPECT_TRUE(store_->List({}, "t/", "", 10)->objects.empty());
}

// Row 45.

TEST_F(S3StoreTest, NeverMakesTheBucket) {
  server_->SetBucket(false);
  const auto got = store_->Get({}, "vault", 10);
  ASSERT_FAILS(got, kNotFound);
  EXPECT_NE(got.error().message.find("bucket"), std::string::npos);
  EXPECT_FALSE(got.error().hint.empty());
  EXPECT_FAILS(Create("t/a", "x"), kNotFound);
  for (const Request& request : server_->requests()) {
    EXPECT_FALSE(request.method == "PUT" && request.url.ends_with("/bucket"));
  }
}

TEST_F(S3StoreTest, TakesABucketThatHasGoneForAway) {
  ASSERT_OK(Create("t/a", "x"));
  server_->SetBucket(false);
  EXPECT_FAILS(store_->Get({}, "t/a", 10), kUnavailable);
  EXPECT_FAILS(Create("t/b", "x"), kUnavailable);
  EXPECT_FAILS(store_->List({}, "", "", 10), kUnavailable);
}

// Row 46.

TEST_F(S3StoreTest, TellsAFullStore) {
  for (const auto& [status, code] : std::vector<std::pair<int, std::string>>{
           {403, "QuotaExceeded"}, {507, "InsufficientCapacity"}, {507, "Whatever"}}) {
    EXPECT_EQ(ErrorsFor(S3Error(status, code))[0].code, ErrorCode::kNoSpace) << code;
  }
}

TEST_F(S3StoreTest, NamesTheRightRegion) {
  Response moved = S3Error(301, "PermanentRedirect");
  moved.headers.push_back({"x-amz-bucket-region", "eu-west-1"});
  for (const Response& response :
       {moved, S3Error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")}) {
    for (const Error& error : ErrorsFor(response)) {
      EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
      EXPECT_NE(error.message.find("eu-west-1"), std::string::npos) << error.message;
      EXPECT_NE(error.hint.find("region=eu-west-1"), std::string::npos) << error.hint;
    }
  }
}

TEST_F(S3StoreTest, ShowsTheProvidersWordsOnOneHarmlessLine) {
  Response response = S3Error(418, "Odd\x1b[31m\ncode");
  const Error error = ErrorOfGet(response);
  EXPECT_NE(error.message.find("words of the provider"), std::string::npos) << error.message;
  EXPECT_EQ(error.message.find('\n'), std::string::npos);
  EXPECT_EQ(error.message.find('\x1b'), std::string::npos);
}

TEST_F(S3StoreTest, RefusesToBeInitialisedAmongOtherThings) {
  EXPECT_OK(store_->CheckForInit({}));
  server_->Put("backups/", "");
  server_->Put("backups/keys/x", "half a vault");
  EXPECT_OK(store_->CheckForInit({}));
  server_->Put("backups/Photos/1.jpg", "another's");
  const Status refused = store_->CheckForInit({});
  ASSERT_FAILS(refused, kAlreadyExists);
  EXPECT_NE(refused.error().message.find("Photos/1.jpg"), std::string::npos);
  server_->SetBucket(false);
  EXPECT_FAILS(store_->CheckForInit({}), kUnavailable);
}

}  // namespace
}  // namespace coffer::store
