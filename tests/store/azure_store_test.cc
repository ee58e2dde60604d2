// AzureStore against a server in memory that checks every signature, and lies when told: the rows
// of faults.md that Azure's Blob service can show.
#include "core/store/azure_store.h"

#include <gtest/gtest.h>

#include <chrono>

#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/http/http_date.h"
#include "core/store/probe.h"
#include "tests/support/fake_azure.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::store {
namespace {

using http::Request;
using http::Response;
using Names = std::vector<std::string>;

constexpr std::string_view kPlace =
    "az://photos/backups/vault?credentials_file=/home/ann/key&endpoint=http://127.0.0.1:10000";
constexpr std::string_view kSas = "sv=2021-12-02&se=2023-11-15T00%3A00%3A00Z&sp=rcdl&sig=a%2Fb%3D";

class AzureStoreTest : public testing::Test {
 protected:
  AzureStoreTest() {
    fs_.AddDirectories("/home/ann");
    WriteKey(ToBase64(AsBytes("key one")));
    Open(std::string(kPlace), {});
  }

  void WriteKey(const std::string& text) {
    ASSERT_OK(ReplaceFile(fs_, "/home/ann/key", AsBytes(text + "\n")));
  }

  void Open(const std::string& text, FakeAzureOptions options) {
    const auto url = ParseStoreUrl(text, "/", AzureSchemes());
    ASSERT_OK(url);
    const auto settings = ResolveAzure("/home/ann", *url);
    ASSERT_OK(settings);
    server_ = std::make_unique<FakeAzure>(std::move(options));
    server_->AddKey(AsBytes("key one"));
    store_ = std::make_unique<AzureStore>(
        *settings, std::make_unique<AzureCredentials>(fs_, Variables(), settings->keys), *server_,
        clock_);
  }

  Status Create(const std::string& name, std::string_view text,
                ObjectClass object_class = ObjectClass::kData) {
    return store_->Create({}, name, AsBytes(text), object_class);
  }
  void AnswerWith(const Response& response) {
    server_->answer_instead = [response](const Request&) { return response; };
  }
  /// What each call says to one answer: Create, Get, GetRange, List, Delete.
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
  std::unique_ptr<FakeAzure> server_;
  std::unique_ptr<AzureStore> store_;
};

Response Plain(int status) { return MakeResponse(status, "", "text/plain"); }

TEST_F(AzureStoreTest, AsksOnceForEachCall) {
  ASSERT_OK(Create("t/a", "0123456789"));
  EXPECT_OK(store_->Get({}, "t/a", 10));
  EXPECT_OK(store_->GetRange({}, "t/a", 2, 3));
  EXPECT_OK(store_->List({}, "t/", "", 10));
  EXPECT_OK(store_->Delete({}, "t/a"));
  Names asked;
  for (const Request& request : server_->requests()) {
    asked.push_back(request.method + " " + request.url.substr(23));
    EXPECT_EQ(request.redirects_max, 0);
  }
  EXPECT_EQ(asked, (Names{"PUT photos/backups/vault/t/a", "GET photos/backups/vault/t/a",
                          "GET photos/backups/vault/t/a",
                          "GET photos/backups?comp=list&maxresults=11&prefix=vault%2Ft%2F&"
                          "restype=container",
                          "DELETE photos/backups/vault/t/a"}));
}

TEST_F(AzureStoreTest, PutsTheAccountIntoTheHost) {
  Open("az://photos/backups/a%20b?credentials_file=/home/ann/key",
       {.origin = "https://photos.blob.core.windows.net", .base_path = "/backups"});
  ASSERT_OK(Create("t/a", "x"));
  EXPECT_TRUE(server_->Find("a b/t/a").has_value());
  EXPECT_EQ(store_->List({}, "", "", 10)->names(), Names{"t/a"});
}

TEST_F(AzureStoreTest, PutsPacksAloneIntoTheTier) {
  Open(Concat(kPlace, "&tier=cool"), {});
  ASSERT_OK(Create("packs/aa/x", "x", ObjectClass::kData));
  ASSERT_OK(Create("heads/x", "x", ObjectClass::kHead));
  ASSERT_OK(Create("keys/x", "x", ObjectClass::kControl));
  EXPECT_EQ(server_->Find("vault/packs/aa/x")->tier, "Cool");
  EXPECT_EQ(server_->Find("vault/heads/x")->tier, "");
  EXPECT_EQ(server_->Find("vault/keys/x")->tier, "");
}

TEST_F(AzureStoreTest, PassesTheProbe) {
  SeededRandom random(1);
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(*store_, random));
  EXPECT_EQ(report.strength, StoreStrength::kStrong) << report.reason;
}

TEST_F(AzureStoreTest, WantsNothingOfOthersUnderThePrefixOfANewVault) {
  server_->Put("vault/catalog/x", "left by an init that was killed");
  server_->Put("other/x", "another's");
  EXPECT_OK(store_->CheckForInit({}));
  server_->Put("vault/holiday.jpg", "another's");
  EXPECT_FAILS(store_->CheckForInit({}), kAlreadyExists);
  server_->SetContainer(false);
  EXPECT_FAILS(store_->CheckForInit({}), kUnavailable);  // it has been seen
}

// Row 42.

TEST_F(AzureStoreTest, ProbeFindsAServerThatIgnoresTheCondition) {
  server_->answer_instead = [&](const Request& request) -> std::optional<Response> {
    if (request.method != "PUT") return std::nullopt;
    server_->Put(request.url.substr(request.url.find("vault/")), AsText(request.body));
    Response response = Plain(201);
    response.headers.push_back({"x-ms-request-id", "1"});
    response.headers.push_back({"x-ms-version", "1"});
    return response;
  };
  SeededRandom random(1);
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(*store_, random));
  EXPECT_EQ(report.strength, StoreStrength::kWeak);
}

TEST_F(AzureStoreTest, TellsABlobThatExistsByEachOfItsCodes) {
  for (const auto& [status, code] :
       std::vector<std::pair<int, std::string>>{{409, "BlobAlreadyExists"},
                                                {412, "ConditionNotMet"},
                                                {412, "TargetConditionNotMet"},
                                                {412, "LeaseIdMissing"},
                                                {409, "BlobImmutableDueToPolicy"},
                                                {409, "SnapshotsPresent"},
                                                {403, "UnauthorizedBlobOverwrite"}}) {
    AnswerWith(AzureError(status, code));
    EXPECT_FAILS(Create("t/a", "x"), kAlreadyExists) << code;
    const auto got = store_->Get({}, "t/a", 10);
    ASSERT_FALSE(got.has_value());
    EXPECT_NE(got.error().code, ErrorCode::kAlreadyExists) << code;
  }
  for (const int status : {304, 412}) {
    AnswerWith(Plain(status));
    EXPECT_FAILS(Create("t/a", "x"), kAlreadyExists) << status;
    EXPECT_FAILS(store_->Get({}, "t/a", 10), kUnavailable) << status;
  }
  AnswerWith(Plain(409));
  EXPECT_FAILS(Create("t/a", "x"), kUnavailable);
  AnswerWith(AzureError(501, "NotImplemented"));
  EXPECT_FAILS(Create("t/a", "x"), kUnsupported);
}

TEST_F(AzureStoreTest, NeedsNoRightToWriteBesideThatToCreate) {
  WriteKey(std::string(kSas));
  for (const bool is_azurite : {false, true}) {
    Open(std::string(kPlace), {.is_azurite = is_azurite});
    server_->AddSas(std::string(kSas), "rcdl");
    ASSERT_OK(Create("t/a", "first"));
    EXPECT_FAILS(Create("t/a", "second"), kAlreadyExists);
    EXPECT_EQ(AsText(*store_->Get({}, "t/a", 10)), "first");
  }
  server_->DropKeys();
  server_->AddSas(std::string(kSas), "rl");
  EXPECT_FAILS(Create("t/b", "x"), kUnauthenticated);
}

// Row 34.

TEST_F(AzureStoreTest, TakesNoOtherRangeThanItAskedFor) {
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
  for (const std::size_t size : {3U, 5U}) {
    EXPECT_FAILS(change([&](Response& r) {
                   drop_length(r);
                   r.body.resize(size);
                 }),
                 kUnavailable);
  }
  EXPECT_FAILS(change([](Response& r) { r.body.resize(3); }), kUnavailable);
}

TEST_F(AzureStoreTest, TakesNoBodyThatIsNotAsLongAsPromised) {
  ASSERT_OK(Create("t/a", "0123456789"));
  server_->change_answer = [](const Request&, Response& response) { response.body.resize(9); };
  EXPECT_FAILS(store_->Get({}, "t/a", 100), kUnavailable);
  server_->change_answer = [](const Request&, Response& response) { response.status = 206; };
  EXPECT_FAILS(store_->Get({}, "t/a", 100), kUnavailable);
}

TEST_F(AzureStoreTest, TellsThatABlobEndsBeforeARangeHoweverTheServerPutsIt) {
  for (const bool as_azurite : {false, true}) {
    Open(std::string(kPlace), {.is_azurite = as_azurite});
    ASSERT_OK(Create("t/a", "0123456789"));
    EXPECT_FAILS(store_->GetRange({}, "t/a", 10, 1), kCorruption);
    EXPECT_FAILS(store_->GetRange({}, "t/a", INT64_MAX, 1), kCorruption);
    EXPECT_FAILS(store_->GetRange({}, "t/a", UINT64_MAX, UINT64_MAX), kCorruption);
    EXPECT_EQ(AsText(*store_->GetRange({}, "t/a", 8, UINT64_MAX)), "89");
  }
  AnswerWith(Plain(416));  // not the service's
  EXPECT_FAILS(store_->GetRange({}, "t/a", 10, 1), kUnavailable);
}

// Row 36.

TEST_F(AzureStoreTest, BelievesNoETag) {
  server_->change_answer = [](const Request&, Response& response) {
    response.headers.push_back({"ETag", "\"0x8D\""});
  };
  ASSERT_OK(Create("t/a", "x"));
  EXPECT_OK(store_->Get({}, "t/a", 10));
}

TEST_F(AzureStoreTest, SaysWhatBytesToExpect) {
  EXPECT_OK(Create("t/a", "x"));
  EXPECT_EQ(Header(server_->requests()[0], "Content-MD5"), "ndTkYSaMgDT1yFZOFVxnpg==");
  AnswerWith(AzureError(400, "Md5Mismatch"));
  EXPECT_FAILS(Create("t/b", "x"), kUnavailable);
}

// Rows 37 and 50.

TEST_F(AzureStoreTest, TakesNoErrorForASuccessWhateverItsStatus) {
  for (const int status : {200, 201, 202, 206}) {
    for (const Error& error : ErrorsFor(AzureError(status, "InternalError"))) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable) << error.message;
      EXPECT_NE(error.message.find("InternalError"), std::string::npos) << error.message;
    }
    Response unnamed = AzureError(status, "InternalError");
    std::erase_if(unnamed.headers, [](const auto& h) { return h.name == "x-ms-error-code"; });
    std::vector<Error> errors = ErrorsFor(unnamed);
    for (const Error& error : errors) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable) << error.message;
    }
  }
  for (const Error& error : ErrorsFor(AzureError(200, "ServerBusy"))) {
    EXPECT_EQ(error.cause, ErrorCause::kThrottled) << error.message;
  }
}

TEST_F(AzureStoreTest, TakesNoSuccessOfAnothersForTheServices) {
  for (const int status : {200, 201, 202, 204, 206}) {
    for (const Error& error : ErrorsFor(Plain(status))) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable) << status << error.message;
    }
  }
}

TEST_F(AzureStoreTest, TakesNoWebPageForAnAnswer) {
  for (const int status : {200, 201, 202, 302, 403, 404, 511}) {
    for (const Error& error : ErrorsFor(HtmlPage(status))) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable) << status << error.message;
      EXPECT_NE(error.message.find("web page"), std::string::npos) << error.message;
    }
  }
}

TEST_F(AzureStoreTest, FollowsNoRedirect) {
  Response response = Plain(302);
  response.headers.push_back({"Location", "https://evil.example/\x1b[31m?sig=secret"});
  for (const Error& error : ErrorsFor(response)) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_NE(error.message.find("evil.example"), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find('\x1b'), std::string::npos);
    EXPECT_EQ(error.message.find("secret"), std::string::npos);
  }
}

// Row 40.

TEST_F(AzureStoreTest, GoesOnBehindTheBlobsOfOthersAndDirectories) {
  for (int i = 0; i < 6000; ++i) server_->Put(Concat("vault/t/A", 10000 + i), "another's");
  server_->PutDirectory("vault/t/aa");
  ASSERT_OK(Create("t/a", "x"));
  ASSERT_OK(Create("t/b", "x"));
  ASSERT_OK_AND_ASSIGN(const ListPage page, store_->List({}, "t/", "", 2));
  EXPECT_EQ(page.names(), (Names{"t/a", "t/b"}));
  EXPECT_FALSE(page.more);
}

TEST_F(AzureStoreTest, FindsNamesAfterAnotherFromTheNearestMarker) {
  for (int i = 10000; i < 20000; ++i) server_->Put(Concat("vault/t/", i), "x");
  std::string last;
  std::size_t count = 0;
  for (bool more = true; more; ++count) {
    ASSERT_OK_AND_ASSIGN(const ListPage page, store_->List({}, "t/", last, 1000));
    ASSERT_EQ(page.objects.size(), 1000U);
    EXPECT_EQ(page.objects.front().name, Concat("t/", 10000 + 1000 * count));
    last = page.objects.back().name;
    more = page.more;
  }
  EXPECT_EQ(count, 10U);
  EXPECT_LE(server_->request_count(), 20U);
}

TEST_F(AzureStoreTest, LeavesNothingOutThatWasMadeBehindAMarker) {
  Open(std::string(kPlace), {.page_max = 3});
  for (int i = 10; i < 30; ++i) server_->Put(Concat("vault/t/", i), "x");
  EXPECT_EQ(store_->List({}, "t/", "", 9)->names().size(), 9U);
  for (int i = 10; i < 30; ++i) {
    const std::string name = Concat("t/", i, "0");  // between two that stood beside each other
    ASSERT_OK(Create(name, "x"));
    EXPECT_EQ(store_->List({}, "t/", Concat("t/", i), 5)->names().front(), name);
    ASSERT_OK(store_->Delete({}, Concat("t/", i)));
    EXPECT_EQ(store_->List({}, "t/", Concat("t/", i), 5)->names().front(), name);
  }
}

TEST_F(AzureStoreTest, BeginsAnewWhereAMarkerIsNoLongerTaken) {
  Open(std::string(kPlace), {.page_max = 3});
  for (int i = 10; i < 30; ++i) server_->Put(Concat("vault/t/", i), "x");
  EXPECT_OK(store_->List({}, "t/", "", 12));
  server_->answer_instead = [](const Request& request) -> std::optional<Response> {
    if (request.url.find("marker=") == std::string::npos) return std::nullopt;
    if (request.url.find("maxresults=2500") != std::string::npos) return std::nullopt;
    return AzureError(400, "OutOfRangeInput");
  };
  EXPECT_EQ(store_->List({}, "t/", "t/20", 2)->names(), (Names{"t/21", "t/22"}));
}

Response ListOf(const std::string& inside) {
  Response response = MakeResponse(200, "<EnumerationResults>" + inside + "</EnumerationResults>",
                                   "application/xml");
  response.headers.push_back({"x-ms-request-id", "1"});
  response.headers.push_back({"x-ms-version", "1"});
  return response;
}

std::string BlobNamed(const std::string& name) {
  return "<Blob><Name>" + name +
         "</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>";
}

TEST_F(AzureStoreTest, TakesNoListThatMakesNoSense) {
  const std::string end = "<NextMarker/>";
  AnswerWith(ListOf("<Blobs>" + BlobNamed("vault/t/a") + "</Blobs>" + end));
  EXPECT_OK(store_->List({}, "t/", "", 10));
  const auto code_of = [&](const std::string& inside) {
    AnswerWith(ListOf(inside));
    const auto page = store_->List({}, "t/", "", 10);
    return page.has_value() ? "a list" : std::string(ErrorCodeName(page.error().code));
  };
  EXPECT_EQ(code_of("<Blobs></Blobs>"), "unavailable");  // cut short
  EXPECT_EQ(code_of(end), "unavailable");
  EXPECT_EQ(code_of("<Blobs><Blob><Name>vault/t/a</Name></Blob></Blobs>" + end), "unavailable");
  EXPECT_EQ(code_of("<Blobs>" + BlobNamed("other/t/a") + "</Blobs>" + end), "unavailable");
  EXPECT_EQ(code_of("<Blobs>" + BlobNamed("vault/t/b") + BlobNamed("vault/t/a") + "</Blobs>" + end),
            "unsupported");
  EXPECT_EQ(code_of("<Blobs>" + BlobNamed("vault/t/a") + BlobNamed("vault/t/a") + "</Blobs>" + end),
            "unsupported");
  EXPECT_EQ(code_of("<Blobs/><NextMarker>" + std::string(5000, 'x') + "</NextMarker>"),
            "unavailable");
  AnswerWith(MakeResponse(200, "<a/>", "application/xml"));
  EXPECT_FAILS(store_->List({}, "t/", "", 10), kUnavailable);
}

TEST_F(AzureStoreTest, EndsAListThatDoesNotEnd) {
  AnswerWith(ListOf("<Blobs/><NextMarker>x</NextMarker>"));
  std::size_t before = server_->request_count();
  EXPECT_FAILS(store_->List({}, "t/", "", 10), kUnavailable);  // the same place again
  EXPECT_LE(server_->request_count() - before, 2U);
  int number = 0;
  server_->answer_instead = [&number](const Request&) {
    return ListOf(Concat("<Blobs/><NextMarker>", ++number, "</NextMarker>"));
  };
  before = server_->request_count();
  EXPECT_FAILS(store_->List({}, "t/", "", 10), kUnsupported);
  EXPECT_EQ(server_->request_count() - before, 400U);
}

// Row 28.

TEST_F(AzureStoreTest, TellsThrottlingAndForHowLong) {
  Response busy = AzureError(503, "ServerBusy");
  busy.headers.push_back({"Retry-After", "7"});
  for (const Error& error : ErrorsFor(busy)) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_EQ(error.cause, ErrorCause::kThrottled);
    EXPECT_EQ(error.retry_after, Duration(std::chrono::seconds(7)));
  }
  EXPECT_EQ(ErrorOfGet(Plain(429)).cause, ErrorCause::kThrottled);
  for (const int status : {500, 502, 504}) {
    EXPECT_EQ(ErrorOfGet(Plain(status)).code, ErrorCode::kUnavailable);
    EXPECT_EQ(ErrorOfGet(Plain(status)).cause, ErrorCause::kOther);
  }
  EXPECT_EQ(ErrorOfGet(AzureError(500, "OperationTimedOut")).code, ErrorCode::kUnavailable);
}

// Row 43.

TEST_F(AzureStoreTest, TakesAReplacedKeyWithoutARestart) {
  ASSERT_OK(Create("t/a", "x"));
  server_->DropKeys();
  server_->AddKey(AsBytes("key two"));
  const auto got = store_->Get({}, "t/a", 10);
  ASSERT_FAILS(got, kUnauthenticated);
  EXPECT_EQ(got.error().cause, ErrorCause::kCredentials);
  WriteKey(ToBase64(AsBytes("key two")));
  EXPECT_OK(store_->Get({}, "t/a", 10));
  const std::size_t before = server_->request_count();
  EXPECT_OK(store_->Get({}, "t/a", 10));
  EXPECT_EQ(server_->request_count() - before, 1U);
  server_->AddSas(std::string(kSas), "r");
  server_->DropKeys();
  server_->AddSas(std::string(kSas), "r");
  WriteKey(std::string(kSas));  // a token in the key's place
  EXPECT_OK(store_->Get({}, "t/a", 10));
}

TEST_F(AzureStoreTest, TellsThatTheKeyIsNoneOfTheAccount) {
  for (const bool is_azurite : {false, true}) {
    Open(std::string(kPlace), {.is_azurite = is_azurite});
    WriteKey(ToBase64(AsBytes("key two")));
    const auto got = store_->Get({}, "t/a", 10);
    ASSERT_FAILS(got, kUnauthenticated);
    EXPECT_NE(got.error().message.find("the key is none of account photos"), std::string::npos)
        << got.error().message;
  }
}

TEST_F(AzureStoreTest, AsksOnceMoreAndNotForEver) {
  std::size_t before = server_->request_count();
  AnswerWith(AzureError(403, "AuthenticationFailed"));
  EXPECT_FAILS(store_->Get({}, "t/a", 10), kUnauthenticated);
  EXPECT_EQ(server_->request_count() - before, 1U);  // there is no other key
  WriteKey(ToBase64(AsBytes("key two")));
  before = server_->request_count();
  EXPECT_FAILS(store_->Get({}, "t/a", 10), kUnauthenticated);
  EXPECT_EQ(server_->request_count() - before, 2U);
}

TEST_F(AzureStoreTest, SaysWhatIsWrongWithTheCredentials) {
  for (const char* code :
       {"AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation",
        "KeyBasedAuthenticationNotPermitted", "AccountIsDisabled", "AuthorizationFailure",
        "AuthorizationSourceIPMismatch", "AuthorizationProtocolMismatch",
        "AuthorizationResourceTypeMismatch", "InsufficientAccountPermissions"}) {
    for (const Error& error : ErrorsFor(AzureError(403, code))) {
      EXPECT_EQ(error.code, ErrorCode::kUnauthenticated) << error.message;
      EXPECT_EQ(error.cause, ErrorCause::kCredentials) << error.message;
      EXPECT_NE(error.message.find(code), std::string::npos) << error.message;
      EXPECT_NE(error.message.find("words of the provider)"), std::string::npos) << error.message;
      EXPECT_EQ(error.message.find("RequestId"), std::string::npos) << error.message;
    }
  }
}

TEST_F(AzureStoreTest, TellsWhenASasEndsAndNeverItsText) {
  WriteKey(std::string(kSas));  // the server knows of none
  const auto got = store_->Get({}, "t/a", 10);
  ASSERT_FAILS(got, kUnauthenticated);
  EXPECT_NE(got.error().message.find("ends 2023-11-15T00:00:00Z"), std::string::npos)
      << got.error().message;
  for (const Error& error : ErrorsFor(AzureError(403, "AuthorizationPermissionMismatch"))) {
    EXPECT_EQ(Concat(error.message, error.hint).find("sig"), std::string::npos) << error.message;
  }
  EXPECT_EQ(Concat(store_->description(), store_->identity()).find("sig"), std::string::npos);
  EXPECT_EQ(store_->identity(),
            "az://photos/backups/vault at http://127.0.0.1:10000/photos/backups");
}

TEST_F(AzureStoreTest, TellsBothTimesWhenTheClocksDiffer) {
  server_->SetNow(clock_.WallNow() + 3600);
  const auto got = store_->Get({}, "t/a", 10);
  ASSERT_FAILS(got, kUnauthenticated);
  EXPECT_EQ(got.error().cause, ErrorCause::kCredentials);
  for (const UnixSeconds time : {clock_.WallNow(), clock_.WallNow() + 3600}) {
    EXPECT_NE(got.error().message.find(DateTimeUtc(time)), std::string::npos)
        << got.error().message;
  }
}

// Row 44.

TEST_F(AzureStoreTest, NamesTheRightThatIsMissing) {
  const std::vector<Error> errors = ErrorsFor(AzureError(403, "AuthorizationPermissionMismatch"));
  const Names rights = {"create blobs (c)", "read blobs (r)", "read blobs (r)",
                        "list the container (l)", "delete blobs (d)"};
  for (std::size_t i = 0; i < rights.size(); ++i) {
    EXPECT_EQ(errors[i].code, ErrorCode::kUnauthenticated);
    EXPECT_EQ(errors[i].cause, ErrorCause::kCredentials);
    EXPECT_NE(errors[i].message.find(rights[i]), std::string::npos) << errors[i].message;
  }
}

// Row 45.

TEST_F(AzureStoreTest, TellsOfAContainerThatIsNotThereAndMakesNone) {
  server_->SetContainer(false);
  const auto first = store_->Get({}, "vault", 10);
  ASSERT_FAILS(first, kNotFound);
  EXPECT_NE(first.error().message.find("no container backups"), std::string::npos);
  EXPECT_NE(first.error().hint.find("none is made by itself"), std::string::npos);
  EXPECT_FAILS(Create("t/a", "x"), kNotFound);
  for (const Request& request : server_->requests()) {
    EXPECT_FALSE(request.method == "PUT" && request.url.find("restype") != std::string::npos);
  }
}

TEST_F(AzureStoreTest, TakesNothingForLostWhenTheContainerGoesMissingLater) {
  ASSERT_OK(Create("t/a", "x"));
  server_->SetContainer(false);
  EXPECT_FAILS(store_->Get({}, "t/a", 10), kUnavailable);
  EXPECT_FAILS(store_->Delete({}, "t/a"), kUnavailable);
  EXPECT_FAILS(store_->List({}, "t/", "", 10), kUnavailable);
  EXPECT_FAILS(Create("t/b", "x"), kUnavailable);
  for (const Error& error : ErrorsFor(AzureError(409, "ContainerBeingDeleted"))) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable) << error.message;
  }
}

TEST_F(AzureStoreTest, TakesNo404OfAnothersForABlobThatIsNotThere) {
  for (const Error& error : ErrorsFor(Plain(404))) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable) << error.message;
  }
  for (const Error& error : ErrorsFor(AzureError(404, "ResourceNotFound"))) {
    EXPECT_NE(error.code, ErrorCode::kAlreadyExists) << error.message;
  }
  const std::vector<Error> errors = ErrorsFor(AzureError(404, "BlobNotFound"));
  EXPECT_EQ(errors[0].code, ErrorCode::kUnavailable);
  EXPECT_EQ(errors[1].code, ErrorCode::kNotFound);
  EXPECT_EQ(errors[3].code, ErrorCode::kUnavailable);
  EXPECT_EQ(errors[4].code, ErrorCode::kNotFound);
}

// Rows 46 and 48.

TEST_F(AzureStoreTest, TellsThatTheStoreIsFull) {
  for (const int status : {413, 507}) {
    EXPECT_EQ(ErrorsFor(Plain(status))[0].code, ErrorCode::kNoSpace);
  }
}

TEST_F(AzureStoreTest, TellsWhatKeepsABlobFromBeingDeletedOrRead) {
  EXPECT_EQ(ErrorsFor(AzureError(409, "BlobImmutableDueToPolicy"))[4].code,
            ErrorCode::kUnsupported);
  EXPECT_EQ(ErrorsFor(AzureError(409, "SnapshotsPresent"))[4].code, ErrorCode::kUnsupported);
  const Error archived = ErrorOfGet(AzureError(409, "BlobArchived"));
  EXPECT_EQ(archived.code, ErrorCode::kUnavailable);
  EXPECT_NE(archived.hint.find("lifecycle rule"), std::string::npos);
}

// A24 and A35.

TEST_F(AzureStoreTest, ShowsNoControlCharactersOfTheProvider) {
  Response evil = MakeResponse(500,
                               "<Error><Code>Evil\x1b[31m</Code><Message>words\x1b]0;x\x07 and "
                               "more\nlines</Message></Error>",
                               "application/xml");
  for (const Error& error : ErrorsFor(evil)) {
    EXPECT_EQ(error.message.find('\x1b'), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find('\n'), std::string::npos) << error.message;
  }
  const Response bomb = MakeResponse(
      503, "<!DOCTYPE a [<!ENTITY b \"cccc\">]><Error><Code>&b;</Code></Error>", "application/xml");
  for (const Error& error : ErrorsFor(bomb)) EXPECT_EQ(error.code, ErrorCode::kUnavailable);
}

TEST_F(AzureStoreTest, ReadsNoListBeyondItsLimit) {
  Response endless = ListOf("<Blobs/><NextMarker/>");
  endless.body.resize((4 << 20) + 1, std::byte{' '});
  std::erase_if(endless.headers, [](const auto& h) { return h.name == "Content-Length"; });
  AnswerWith(endless);
  EXPECT_FAILS(store_->List({}, "t/", "", 10), kUnavailable);
}

}  // namespace
}  // namespace coffer::store
