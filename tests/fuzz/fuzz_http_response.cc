// What a server sends is collected within its limits, whatever it is; and where it leads is nowhere
// that it must not. The input: a byte of choices, then lines; those after the empty line of a final
// head are its body as well.
#include <cstdint>
#include <string_view>

#include "core/base/check.h"
#include "core/http/redirect.h"
#include "core/http/response_collector.h"
#include "core/http/retry_after.h"

namespace coffer::http {
namespace {

constexpr ResponseLimits kLimits = {
    .header_bytes_max = 4096, .headers_max = 20, .body_bytes_max = 1000};

void Collect(std::string_view input, ResponseCollector::Challenges challenges) {
  ResponseCollector collector("host", false, kLimits, challenges);
  bool is_taken = true;
  while (!input.empty() && is_taken) {
    const std::size_t end = std::min(input.find('\n'), input.size() - 1);
    const std::string_view line = input.substr(0, end + 1);
    input.remove_prefix(line.size());
    const bool was_whole = collector.has_whole_head();
    is_taken = collector.TakeHeaderLine(line);
    if (is_taken && was_whole && collector.has_whole_head()) {
      is_taken = collector.TakeBody(AsBytes(line));
    }
  }
  CHECK(is_taken == !collector.error().has_value());
  if (!is_taken || !collector.has_whole_head()) return;
  CHECK(collector.header_bytes() <= kLimits.header_bytes_max);
  const std::uint64_t limit = collector.body_limit();
  const Response response = collector.Take();
  CHECK(response.headers.size() <= kLimits.headers_max && response.body.size() <= limit);
  const auto wait = RetryAfterOf(response, 1'700'000'000);
  CHECK(!wait.has_value() || (*wait >= Duration::zero() && *wait <= kRetryAfterMax));
  Request asked;
  asked.url = "https://host/a/b";
  asked.headers = {{"Authorization", "secret"}, {"Range", "bytes=0-1"}};
  const auto next = AfterRedirect(asked, response);
  if (!next.has_value() || !next->has_value()) return;
  const auto origin = CheckRequest(**next);
  CHECK(origin.has_value() && origin->scheme == "https");
  CHECK(((*next)->headers.size() == 2) == (origin->ToString() == "https://host"));
}

}  // namespace
}  // namespace coffer::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  using coffer::http::ResponseCollector;
  coffer::http::Collect({reinterpret_cast<const char*>(data) + 1, size - 1},
                        data[0] % 2 == 0 ? ResponseCollector::Challenges::kFinal
                                         : ResponseCollector::Challenges::kAnswered);
  return 0;
}
