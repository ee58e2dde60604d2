// A WebDAV server in memory and stores on it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/log.h"
#include "core/store/webdav_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_webdav.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::store {

using http::Request;
using http::Response;
using Lines = std::vector<std::string>;

inline constexpr char kUrl[] = "webdav://127.0.0.1:8090/dav/coffer";
inline constexpr char kUrlOfAnn[] =
    "webdav://ann@127.0.0.1:8090/dav/coffer?credentials_file=/home/ann/password";

class WebDavStoreTest : public testing::Test {
 protected:
  WebDavStoreTest() { Start({}); }

  void Start(FakeWebDavOptions options) {
    server_ = std::make_unique<FakeWebDav>(std::move(options));
    server_->AddCollection("/dav");
  }
  Result<std::unique_ptr<WebDavStore>> TryOpen(StoreOpenMode mode, const std::string& text = kUrl) {
    ASSIGN_OR_RETURN(const StoreUrl url, ParseStoreUrl(text, "/", WebDavSchemes()));
    return WebDavStore::Open({}, url, {fs_, *server_, clock_, random_}, mode);
  }
  std::unique_ptr<WebDavStore> Another(StoreOpenMode mode = StoreOpenMode::kExisting,
                                       const std::string& text = kUrl) {
    auto opened = TryOpen(mode, text);
    EXPECT_OK(opened);
    return opened.has_value() ? std::move(*opened) : nullptr;
  }
  /// A vault's store, with its marker.
  void Open(const std::string& text = kUrl) {
    store_ = Another(StoreOpenMode::kForInit, text);
    ASSERT_NE(store_, nullptr);
    ASSERT_OK(store_->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl));
  }
  Status Create(const std::string& name, std::string_view text,
                ObjectClass object_class = ObjectClass::kData) {
    return store_->Create({}, name, AsBytes(text), object_class);
  }
  void AnswerWith(const std::string& method, const Response& response) {
    server_->answer_instead = [=](const Request& request) -> std::optional<Result<http::Response>> {
      if (request.method != method) return std::nullopt;
      return Result<http::Response>(response);
    };
  }
  Error ErrorOfGet(const Response& response) {
    AnswerWith("GET", response);
    const auto got = store_->Get({}, "packs/aa/x", 100);
    server_->answer_instead = nullptr;
    EXPECT_FALSE(got.has_value());
    return got.has_value() ? Error{} : got.error();
  }
  Error ErrorOfPut(const Response& response) {
    AnswerWith("PUT", response);
    const Status put = Create("packs/aa/y", "y");
    server_->answer_instead = nullptr;
    EXPECT_FALSE(put.has_value());
    return put.has_value() ? Error{} : put.error();
  }
  Error ErrorOfRange(std::function<void(Response&)> change) {
    server_->change_answer = [change = std::move(change)](const Request& request,
                                                          Response& response) {
      if (request.method == "GET") change(response);
    };
    const auto got = store_->GetRange({}, "packs/aa/x", 2, 4);
    server_->change_answer = nullptr;
    EXPECT_FALSE(got.has_value());
    return got.has_value() ? Error{} : got.error();
  }
  std::size_t CountOf(std::string_view method) const {
    const Lines all = server_->requests();
    return static_cast<std::size_t>(std::ranges::count_if(
        all, [&](const std::string& line) { return line.starts_with(method); }));
  }

  FaultyFileSystem fs_;
  FakeClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<FakeWebDav> server_;
  std::unique_ptr<WebDavStore> store_;
};

inline bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

inline Response With(int status, std::string name, std::string value, std::string body = "") {
  Response response = PlainAnswer(status);
  response.headers.push_back({std::move(name), std::move(value)});
  response.body = ToBytes(AsBytes(body));
  return response;
}

}  // namespace coffer::store
