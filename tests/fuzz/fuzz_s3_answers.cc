// What a bucket answers in XML: lists, outcomes of deletes, errors, profiles beside them. A list
// that is taken holds what was asked for and nothing else; an error has words on one line.
#include <algorithm>
#include <cstdint>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/store/aws_files.h"
#include "core/store/s3_errors.h"
#include "core/store/s3_list.h"

using namespace coffer;         // NOLINT(google-build-using-namespace)
using namespace coffer::store;  // NOLINT(google-build-using-namespace)

namespace {

void CheckList(ByteView body) {
  const S3ListAsked asked{"p/", "p/a", 10};
  const Result<S3ListPage> page = ParseS3List(body, asked);
  if (!page.has_value()) return;
  CHECK(page->keys.size() <= asked.limit);
  std::string last = asked.start_after;
  for (const ListedObject& object : page->keys) {
    CHECK(object.name.starts_with(asked.key_prefix) && object.name > last);
    last = object.name;
  }
}

void CheckError(ByteView body, int status) {
  http::Response response;
  response.status = status;
  response.body = ToBytes(body);
  const bool success = status < 300;
  if (success && !IsDisguisedFailure(response)) return;
  const S3Failure failure =
      ExplainS3(response, {.action = "s3:GetObject", .what = "object x"}, S3Settings{}, 0);
  CHECK(std::ranges::none_of(failure.error.message + failure.error.hint,
                             [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView body = std::as_bytes(std::span(data, size));
  CheckList(body);
  (void)ParseS3Delete(body);
  for (const int status : {200, 301, 400, 403, 404, 503}) CheckError(body, status);
  (void)FindAwsProfile(body, "default");
  return 0;
}
