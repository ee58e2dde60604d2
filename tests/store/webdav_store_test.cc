// WebDavStore against a server in memory that is strict and has the habits of real ones: opening,
// what requests a day has, the guard, create. Its lies are in webdav_faults_test.cc.
#include "core/store/probe.h"
#include "tests/store/webdav_world.h"

namespace coffer::store {
namespace {

// --- Opening -------------------------------------------------------------------------------------

TEST_F(WebDavStoreTest, OpensAVaultWithOneRequest) {
  Open();
  server_->TakeRequests();
  ASSERT_NE(Another(), nullptr);
  EXPECT_EQ(server_->TakeRequests(), (Lines{"GET /dav/coffer/vault"}));
}

TEST_F(WebDavStoreTest, InitMakesTheLastCollectionOnly) {
  ASSERT_OK(TryOpen(StoreOpenMode::kForInit));
  EXPECT_TRUE(server_->HasCollection("/dav/coffer"));
  Start({});
  const auto deep = TryOpen(StoreOpenMode::kForInit, "webdav://127.0.0.1:8090/dav/none/coffer");
  ASSERT_FAILS(deep, kNotFound);
  EXPECT_TRUE(Has(deep.error().hint, "make the others first")) << deep.error().hint;
  EXPECT_EQ(server_->Paths(), (Lines{"", "/dav"}));
}

TEST_F(WebDavStoreTest, OpenMakesNothing) {
  for (const StoreOpenMode mode : {StoreOpenMode::kExisting, StoreOpenMode::kForTest}) {
    EXPECT_FAILS(TryOpen(mode), kNotFound);
  }
  server_->AddCollection("/dav/coffer");
  EXPECT_FAILS(TryOpen(StoreOpenMode::kExisting), kNotFound);
  EXPECT_OK(TryOpen(StoreOpenMode::kForTest));
  EXPECT_EQ(server_->Paths(), (Lines{"", "/dav", "/dav/coffer"}));
}

TEST_F(WebDavStoreTest, InitRefusesWhatHoldsSomethingElse) {
  server_->AddCollection("/dav/coffer");
  server_->AddFile("/dav/coffer/holiday.jpg", "jpg");
  EXPECT_FAILS(TryOpen(StoreOpenMode::kForInit), kAlreadyExists);
  EXPECT_FAILS(WebDavStore::CheckForInit({}, *ParseStoreUrl(kUrl, "/", WebDavSchemes()),
                                         {fs_, *server_, clock_, random_}),
               kAlreadyExists);
  EXPECT_EQ(CountOf("PUT") + CountOf("MKCOL") + CountOf("DELETE"), 0U);
}

TEST_F(WebDavStoreTest, HalfAVaultIsSaidToBeOne) {
  for (const char* path : {"/dav/coffer", "/dav/coffer/keys"}) server_->AddCollection(path);
  server_->AddFile("/dav/coffer/keys/1", "key");
  for (const StoreOpenMode mode : {StoreOpenMode::kExisting, StoreOpenMode::kForInit}) {
    const auto opened = TryOpen(mode);
    ASSERT_FAILS(opened, kCorruption);
    EXPECT_TRUE(Has(opened.error().message, "under way")) << opened.error().message;
  }
  server_->SetNow(1'700'003'600 + 3600);  // by the server's own clock, which each answer tells
  const auto old = TryOpen(StoreOpenMode::kForInit);
  ASSERT_FAILS(old, kCorruption);
  EXPECT_TRUE(Has(old.error().hint, "remove the directory")) << old.error().hint;
}

TEST_F(WebDavStoreTest, ErrorsOfOpeningNameTheServer) {
  const auto opened = TryOpen(StoreOpenMode::kExisting);
  ASSERT_FAILS(opened, kNotFound);
  EXPECT_TRUE(opened.error().message.starts_with("store webdav://127.0.0.1:8090/dav/coffer: "))
      << opened.error().message;
  EXPECT_FALSE(Has(opened.error().hint, "mount"));
}

// --- Requests of a day ---------------------------------------------------------------------------

TEST_F(WebDavStoreTest, KnowsItsCollectionsAfterTwoListings) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  ASSERT_OK(Create("packs/bb/x", "x"));
  store_ = Another();
  server_->TakeRequests();
  ASSERT_OK(Create("packs/aa/y", "y"));
  ASSERT_OK(Create("packs/bb/y", "y"));
  ASSERT_OK(Create("packs/aa/z", "z"));
  EXPECT_EQ(
      server_->TakeRequests(),
      (Lines{"PROPFIND /dav/coffer", "PROPFIND /dav/coffer/packs", "PUT /dav/coffer/packs/aa/y",
             "PUT /dav/coffer/packs/bb/y", "PUT /dav/coffer/packs/aa/z"}));
}

TEST_F(WebDavStoreTest, AListIsOneRequestACollection) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "x"));
  ASSERT_OK(Create("heads/aa/2", "x"));
  ASSERT_OK(Create("heads/bb/1", "x"));
  server_->TakeRequests();
  ASSERT_OK_AND_ASSIGN(const ListPage page, store_->List({}, "heads/aa/", "", 1));
  EXPECT_EQ(page.names(), (Lines{"heads/aa/1"}));
  EXPECT_TRUE(page.more);
  EXPECT_EQ(server_->TakeRequests(), (Lines{"PROPFIND /dav/coffer/heads/aa"}));
  ASSERT_OK(store_->List({}, "heads/", "heads/ab", 10));
  EXPECT_EQ(server_->TakeRequests(),
            (Lines{"PROPFIND /dav/coffer/heads", "PROPFIND /dav/coffer/heads/bb"}));
}

TEST_F(WebDavStoreTest, PassesOverWhatIsNotOurs) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  server_->AddFile("/dav/coffer/packs/aa/Thumbs.db", "another's");
  server_->AddFile("/dav/coffer/packs/aa/.htaccess", "another's");
  server_->AddCollection("/dav/coffer/packs/aa/deep");
  server_->AddFile("/dav/coffer/packs/aa/deep/y", "another's");
  ASSERT_OK_AND_ASSIGN(const ListPage page, store_->List({}, "packs/", "", 10));
  EXPECT_EQ(page.names(), (Lines{"packs/aa/x"}));
}

// --- The guard -----------------------------------------------------------------------------------

TEST_F(WebDavStoreTest, AStoreThatIsGoneIsNeverMadeAgain) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  for (const bool emptied : {true, false}) {
    server_->Remove("/dav/coffer");
    if (emptied) server_->AddCollection("/dav/coffer");
    const Lines before = server_->Paths();
    EXPECT_FAILS(Create("packs/aa/y", "y"), kUnavailable);
    EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kUnavailable);
    EXPECT_FAILS(store_->Get({}, "packs/aa/x", 100), kUnavailable);
    EXPECT_FAILS(store_->GetRange({}, "packs/aa/x", 0, 1), kUnavailable);
    const auto listed = store_->List({}, "heads/aa/", "", 2);
    ASSERT_FAILS(listed, kUnavailable);
    EXPECT_TRUE(Has(listed.error().message, "is gone or was emptied")) << listed.error().message;
    EXPECT_FAILS(store_->Delete({}, "packs/aa/x"), kUnavailable);
    EXPECT_EQ(server_->Paths(), before);
  }
}

TEST_F(WebDavStoreTest, AnotherVaultInItsPlaceIsNotTakenForIt) {
  Open();
  server_->Remove("/dav/coffer");
  server_->AddCollection("/dav/coffer");
  server_->AddFile("/dav/coffer/vault", "another");
  const Status created = Create("packs/aa/x", "x");
  ASSERT_FAILS(created, kUnavailable);
  EXPECT_TRUE(Has(created.error().message, "another vault")) << created.error().message;
}

TEST_F(WebDavStoreTest, ACollectionThatGoesAwayUnderOurHandsIsMadeAgain) {
  for (const int status : {409, 404}) {
    Start({.status_of_missing_parent = status});
    Open();
    ASSERT_OK(Create("packs/aa/x", "x"));
    server_->Remove("/dav/coffer/packs/aa");
    EXPECT_OK(Create("packs/aa/y", "y")) << status;
  }
  Start({.status_of_missing_parent = 500});  // nginx: it may be anything, so the next attempt looks
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  server_->Remove("/dav/coffer/packs/aa");
  EXPECT_FAILS(Create("packs/aa/y", "y"), kUnavailable);
  EXPECT_OK(Create("packs/aa/y", "y"));
}

TEST_F(WebDavStoreTest, NeverDeletesACollection) {
  Open();
  ASSERT_OK(Create("t/dir/x", "x"));
  EXPECT_FAILS(store_->Delete({}, "t/dir"), kNotFound);
  EXPECT_TRUE(server_->TextAt("/dav/coffer/t/dir/x").has_value());
}

// --- Create --------------------------------------------------------------------------------------

TEST_F(WebDavStoreTest, TheProbeFindsAServerWithTheConditionStrong) {
  Open();
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(*store_, random_));
  EXPECT_EQ(report.strength, StoreStrength::kStrong) << report.reason;
}

TEST_F(WebDavStoreTest, TheProbeFindsAServerWithoutTheConditionWeak) {
  Start({.has_condition = false, .status_of_missing_parent = 500});
  Open();
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(*store_, random_));
  EXPECT_EQ(report.strength, StoreStrength::kWeak);
  EXPECT_TRUE(Has(report.reason, "overwrote")) << report.reason;
}

TEST_F(WebDavStoreTest, OddAnswersToTheConditionMeanThatItExists) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  EXPECT_EQ(ErrorOfPut(PlainAnswer(412)).code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(ErrorOfPut(PlainAnswer(304)).code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(ErrorOfPut(PlainAnswer(501)).code, ErrorCode::kUnsupported);
  EXPECT_EQ(ErrorOfPut(PlainAnswer(409)).code, ErrorCode::kUnavailable);
}

TEST_F(WebDavStoreTest, OfTwoWritersAtOnceExactlyOneWins) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  const auto other = Another();
  // While the first one's body is on its way the second tries the same name.
  Status second;
  bool begun = false;
  server_->before_commit = [&](const Request&) {
    if (std::exchange(begun, true)) return;
    second = other->Create({}, "heads/aa/2", AsBytes("second"), ObjectClass::kHead);
  };
  EXPECT_OK(Create("heads/aa/2", "first", ObjectClass::kHead));
  EXPECT_FAILS(second, kUnavailable);
  EXPECT_EQ(server_->TextAt("/dav/coffer/heads/aa/2"), "first");
  EXPECT_FAILS(other->Create({}, "heads/aa/2", AsBytes("second"), ObjectClass::kHead),
               kAlreadyExists);
  EXPECT_EQ(server_->TextAt("/dav/coffer/heads/aa/2"), "first");
}

TEST_F(WebDavStoreTest, ClaimsLeaveNothingBehind) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  EXPECT_FAILS(Create("heads/aa/1", "h", ObjectClass::kHead), kAlreadyExists);
  const Lines paths = server_->Paths();
  EXPECT_EQ(std::ranges::count_if(
                paths, [](const std::string& path) { return Has(path, "/.coffer-tmp/"); }),
            0);
}

TEST_F(WebDavStoreTest, PacksAreNotClaimed) {
  Open();
  ASSERT_OK(Create("packs/aa/x", "x"));
  server_->TakeRequests();
  ASSERT_OK(Create("packs/aa/y", "y"));
  EXPECT_EQ(server_->TakeRequests(), (Lines{"PUT /dav/coffer/packs/aa/y"}));
}

TEST_F(WebDavStoreTest, ALostReplyIsFollowedUpUnderTheSameClaim) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  bool lost = false;
  server_->change_answer = [&](const Request& request, Response& response) {
    if (request.method == "PUT" && !lost) response = PlainAnswer(504);
    if (request.method == "PUT") lost = true;
  };
  EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kUnavailable);
  EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kAlreadyExists);  // our own bytes
}

TEST_F(WebDavStoreTest, TheClaimOfADeadWriterIsPassedOverInTime) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  {
    const auto dead = Another();
    AnswerWith("PUT", PlainAnswer(502));
    EXPECT_FAILS(dead->Create({}, "heads/aa/2", AsBytes("dead"), ObjectClass::kHead), kUnavailable);
    server_->answer_instead = nullptr;
  }
  EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kUnavailable);
  clock_.Advance(kClaimDead - std::chrono::seconds(1));
  EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kUnavailable);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_OK(Create("heads/aa/2", "h", ObjectClass::kHead));
  EXPECT_FALSE(server_->HasCollection("/dav/coffer/.coffer-tmp/heads~aa~2.0"));
}

TEST_F(WebDavStoreTest, AClaimThatWasMadeAnewIsNoDeadOne) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  const std::string claim = "/dav/coffer/.coffer-tmp/heads~aa~2.0";
  server_->AddCollection(claim);
  EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kUnavailable);
  clock_.Advance(kClaimDead);
  server_->SetNow(1'700'003'700);
  server_->AddCollection(claim);  // settled, and claimed by another
  EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kUnavailable);
}

TEST_F(WebDavStoreTest, AWriterGivesUpLongBeforeItsClaimIsTakenForDead) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  AnswerWith("PUT", PlainAnswer(502));
  EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kUnavailable);
  server_->answer_instead = nullptr;
  const MonotonicTime claimed = clock_.Now();
  ASSERT_TRUE(server_->deadline_of_put().has_value());
  EXPECT_LE(*server_->deadline_of_put(), claimed + kClaimEnd);
  clock_.Advance(kClaimUse);
  EXPECT_OK(Create("heads/aa/2", "h", ObjectClass::kHead));  // gone on with, under the same claim
  EXPECT_LE(*server_->deadline_of_put(), claimed + kClaimEnd);

  AnswerWith("PUT", PlainAnswer(502));
  EXPECT_FAILS(Create("heads/aa/3", "h", ObjectClass::kHead), kUnavailable);
  server_->answer_instead = nullptr;
  clock_.Advance(kClaimUse + std::chrono::seconds(1));
  // It is not gone on with: its end would come too soon. And others' claims are waited for.
  EXPECT_FAILS(Create("heads/aa/3", "h", ObjectClass::kHead), kUnavailable);
  clock_.Advance(kClaimDead);
  EXPECT_OK(Create("heads/aa/3", "h", ObjectClass::kHead));
}

TEST_F(WebDavStoreTest, ClaimsOfTooManyDeadWritersAreForAPerson) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  for (int generation = 0; generation < kClaimGenerationsMax; ++generation) {
    server_->AddCollection(Concat("/dav/coffer/.coffer-tmp/heads~aa~2.", generation));
    EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kUnavailable);
    clock_.Advance(kClaimDead);
  }
  const Status created = Create("heads/aa/2", "h", ObjectClass::kHead);
  ASSERT_FAILS(created, kUnavailable);
  EXPECT_TRUE(Has(created.error().hint, "/dav/coffer/.coffer-tmp")) << created.error().hint;
}

TEST_F(WebDavStoreTest, WhatIsRefusedForGoodGivesItsClaimBack) {
  Open();
  ASSERT_OK(Create("heads/aa/1", "h", ObjectClass::kHead));
  AnswerWith("PUT", PlainAnswer(507));
  EXPECT_FAILS(Create("heads/aa/2", "h", ObjectClass::kHead), kNoSpace);
  server_->answer_instead = nullptr;
  EXPECT_OK(Another()->Create({}, "heads/aa/2", AsBytes("h"), ObjectClass::kHead));
}

}  // namespace
}  // namespace coffer::store
