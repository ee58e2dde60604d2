#include "core/control/dispatcher.h"

#include <gtest/gtest.h>

#include "core/control/message_json.h"
#include "tests/control/fake_service.h"
#include "tests/support/result_macros.h"

namespace coffer::control {
namespace {

class DispatcherTest : public testing::Test {
 protected:
  HttpReply Ask(const std::string& method, const std::string& target,
                const std::string& body = "") {
    return dispatcher_.Dispatch({method, target, WipedString(body.data(), body.size())});
  }
  static WireError ErrorOf(const HttpReply& reply) {
    auto error = DecodeJson<WireError>({reply.body.data(), reply.body.size()});
    return error.has_value() ? *error : WireError{};
  }

  FakeService service_;
  Dispatcher dispatcher_{service_};
};

TEST_F(DispatcherTest, AnswersTheVersion) {
  const HttpReply reply = Ask("GET", "/v1/version");
  EXPECT_EQ(reply.status, 200);
  EXPECT_NE(reply.body.find("9.9.9"), WipedString::npos);
}

TEST_F(DispatcherTest, PassesThePartsOfThePathAndTheBody) {
  EXPECT_EQ(
      Ask("POST", "/v1/vaults/init", R"({"volume":"photos","size_bytes":4096,"password":"secret"})")
          .status,
      201);
  EXPECT_EQ(service_.password(), "secret");
  EXPECT_EQ(Ask("GET", "/v1/volumes/photos").status, 200);
  EXPECT_EQ(Ask("PUT", "/v1/volumes/photos/open", R"({"password":"other"})").status, 200);
  EXPECT_EQ(service_.password(), "other");
}

TEST_F(DispatcherTest, AnOpenedVolumeStaysOpenWhenPutAgain) {
  service_.AddVolume("photos");
  EXPECT_NE(Ask("PUT", "/v1/volumes/photos/open").body.find("\"already_open\":false"),
            WipedString::npos);
  EXPECT_NE(Ask("PUT", "/v1/volumes/photos/open").body.find("\"already_open\":true"),
            WipedString::npos);
}

TEST_F(DispatcherTest, LongWorkAnswersWithAJob) {
  service_.AddVolume("photos");
  for (const std::string target :
       {"/v1/volumes/photos/sync", "/v1/volumes/photos/close", "/v1/sync", "/v1/close"}) {
    EXPECT_EQ(Ask("POST", target).status, 202) << target;
  }
  EXPECT_EQ(Ask("GET", "/v1/jobs/1").status, 200);
  EXPECT_EQ(Ask("GET", "/v1/jobs/99").status, 404);
}

TEST_F(DispatcherTest, PassesOnWhatIsDoneToVolumesAndKeys) {
  service_.AddVolume("photos");
  EXPECT_EQ(Ask("POST", "/v1/volumes/photos/keys", R"({"password":"wrong"})").status, 403);
  EXPECT_NE(Ask("POST", "/v1/volumes/photos/keys", R"({"password":"right"})")
                .body.find(R"("opened":true)"),
            WipedString::npos);
  EXPECT_EQ(
      Ask("POST", "/v1/volumes/photos/passwd", R"({"password":"right","new_password":"n"})").status,
      200);
  EXPECT_EQ(service_.password(), "n");
  EXPECT_EQ(Ask("POST", "/v1/volumes/photos/rename", R"({"name":"pics"})").status, 200);
  EXPECT_EQ(Ask("POST", "/v1/volumes/pics/resize", R"({"size_bytes":8192})").status, 202);
  EXPECT_EQ(Ask("POST", "/v1/volumes/pics/resize", R"({"size_bytes":4096})").status, 400);
  EXPECT_EQ(
      Ask("POST", "/v1/volumes/pics/resize", R"({"size_bytes":4096,"discard_tail":true})").status,
      202);
  EXPECT_EQ(Ask("POST", "/v1/volumes/pics/delete", "{}").status, 400);
  EXPECT_EQ(Ask("POST", "/v1/volumes/pics/delete", R"({"confirm":"pics"})").status, 202);
  EXPECT_EQ(Ask("GET", "/v1/volumes/pics").status, 404);
}

TEST_F(DispatcherTest, AnOpenInTheBackgroundIsAJobThatCarriesTheReply) {
  service_.AddVolume("photos");
  const HttpReply reply = Ask("PUT", "/v1/volumes/photos/open", R"({"background":true})");
  EXPECT_EQ(reply.status, 202);
  EXPECT_NE(reply.body.find(R"("opened":{)"), WipedString::npos);
}

TEST_F(DispatcherTest, InfoIsReadAndASurveyIsAJob) {
  service_.AddVolume("photos");
  EXPECT_EQ(Ask("GET", "/v1/volumes/nothing/info").status, 404);
  const HttpReply info = Ask("GET", "/v1/volumes/photos/info");
  EXPECT_EQ(info.status, 200);
  EXPECT_NE(info.body.find(R"("patched_chunks":9)"), WipedString::npos);
  EXPECT_EQ(Ask("POST", "/v1/volumes/photos/survey", "{}").status, 403);
  EXPECT_EQ(Ask("POST", "/v1/volumes/photos/survey", R"({"password":"right"})").status, 202);
}

TEST_F(DispatcherTest, AnErrorCarriesCodeMessageWhatAndHint) {
  const HttpReply reply = Ask("POST", "/v1/vaults/probe", R"({"store":"/gone"})");
  EXPECT_EQ(reply.status, 503);
  const WireError error = ErrorOf(reply);
  EXPECT_EQ(error.code, "unavailable");
  EXPECT_EQ(error.message, "no store");
  EXPECT_EQ(error.what, "POST /v1/vaults/probe");
  EXPECT_EQ(error.hint, "mount it");
}

TEST_F(DispatcherTest, UnknownPathsAre404AndWrongMethods405) {
  for (const std::string target : {"/", "/v1", "/v2/version", "/v1/version/", "/v1/volumes//open",
                                   "/v1/volumes/a/b/c/d", "/v1/tomorrow"}) {
    const HttpReply reply = Ask("GET", target);
    EXPECT_EQ(reply.status, 404) << target;
    EXPECT_EQ(ErrorOf(reply).code, "unknown-request") << target;
  }
  EXPECT_EQ(Ask("DELETE", "/v1/version").status, 405);
  EXPECT_EQ(Ask("GET", "/v1/volumes/a/open").status, 405);
}

TEST_F(DispatcherTest, ABadBodyIsRefusedBeforeTheServiceSeesIt) {
  EXPECT_EQ(Ask("POST", "/v1/vaults/init", "not json").status, 400);
  EXPECT_EQ(Ask("POST", "/v1/vaults/init", R"({"size_bytes":"20G"})").status, 400);
  EXPECT_EQ(Ask("GET", "no path").status, 400);
}

TEST_F(DispatcherTest, StopIsPassedOn) {
  EXPECT_EQ(Ask("POST", "/v1/daemon/stop").status, 202);
  EXPECT_TRUE(service_.stop_asked());
}

}  // namespace
}  // namespace coffer::control
