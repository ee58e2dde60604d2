#include "core/http/transfer.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/http/curl_error.h"

namespace coffer::http {
namespace {

/// How long certificates that were read are trusted as they were: those of a system take 20 ms.
constexpr long kTrustSeconds = 60;
constexpr long kUploadBytes = 256 << 10;
/// Larger ones have a connection to themselves, see http_engine.h.
constexpr std::size_t kSharedUploadBytesMax = 64 << 10;
/// Above this curl asks before it sends a body ("Expect: 100-continue"), so that the answer of a
/// server that does not want it comes before the body, and not instead of it with a reset.
constexpr std::size_t kUnaskedBytesMax = 1 << 20;

std::string KeyOf(const Exchange& exchange) {
  if (!exchange.request.user.has_value()) return {};
  return Concat(exchange.origin.ToString(), "\n", exchange.request.unix_socket, "\n",
                exchange.request.user->name);
}

long Milliseconds(Duration duration) {
  return static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

std::string InSeconds(Duration duration) {
  return Concat(std::chrono::duration_cast<std::chrono::seconds>(duration).count(), " s");
}

ResponseLimits LimitsOf(const HttpOptions& options, const Request& request) {
  return {options.header_bytes_max, options.headers_max, request.body_bytes_max};
}

}  // namespace

Transfer::Transfer(const HttpOptions& options, EasyHandles& handles, HostHabits& habits,
                   const Exchange& exchange, MonotonicTime now)
    : options_(options),
      handles_(handles),
      habits_(habits),
      exchange_(exchange),
      key_(KeyOf(exchange)),
      begun_(now),
      collector_(exchange.origin.Name(), exchange.request.method == "HEAD",
                 LimitsOf(options, exchange.request),
                 exchange.request.user.has_value() ? ResponseCollector::Challenges::kAnswered
                                                   : ResponseCollector::Challenges::kFinal),
      stall_(now, options.stall_max),
      easy_(handles.Take(key_)) {}

Transfer::~Transfer() {
  // One that has failed keeps what it was in the middle of.
  if (easy_ != nullptr && may_be_used_again_) {
    Set(CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
    Set(CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
    Set(CURLOPT_PASSWORD, static_cast<const char*>(nullptr));
    handles_.GiveBack(key_, std::move(easy_));
  }
  curl_slist_free_all(headers_);
}

Result<std::unique_ptr<Transfer>> Transfer::Prepare(const HttpOptions& options,
                                                    const TrustSettings& trust,
                                                    EasyHandles& handles, HostHabits& habits,
                                                    const Exchange& exchange, MonotonicTime now) {
  std::unique_ptr<Transfer> transfer(new Transfer(options, handles, habits, exchange, now));
  const Error no_memory = {ErrorCode::kUnavailable, "out of memory for an HTTP request"};
  if (transfer->easy_ == nullptr) return Fail(no_memory);
  transfer->SetPlace(trust);
  transfer->SetMethod();
  transfer->SetHeaders();
  transfer->SetUser();
  transfer->SetCallbacks();
  if (transfer->set_failed_ == CURLE_OUT_OF_MEMORY) return Fail(no_memory);
  if (transfer->set_failed_ != CURLE_OK) {
    return Fail(ErrorCode::kUnsupported,
                Concat("this libcurl cannot do what coffer needs: ",
                       curl_easy_strerror(transfer->set_failed_)),
                "install a libcurl of version 7.88 or later, with TLS");
  }
  return transfer;
}

/// A handle has been used before, so whatever one request sets every request sets.
template <class Value>
void Transfer::Set(CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy_.get(), option, value);
  if (set_failed_ == CURLE_OK) set_failed_ = code;
}

void Transfer::SetPlace(const TrustSettings& trust) {
  const Request& request = exchange_.request;
  const auto text = [](const std::string& value) {
    return value.empty() ? nullptr : value.c_str();
  };
  const bool is_local = exchange_.origin.IsLoopback() || !request.unix_socket.empty();
  Set(CURLOPT_URL, request.url.c_str());
  Set(CURLOPT_PATH_AS_IS, 1L);  // what was signed
  Set(CURLOPT_PROTOCOLS_STR, "http,https");
  Set(CURLOPT_FOLLOWLOCATION, 0L);  // redirect.h does
  Set(CURLOPT_UNIX_SOCKET_PATH, text(request.unix_socket));
  Set(CURLOPT_PROXY, is_local ? "" : nullptr);  // null: the environment's
  Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  Set(CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(options_.connect_max));
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_QUICK_EXIT, 1L);  // a name that is being looked up is not waited for
  Set(CURLOPT_TCP_KEEPALIVE, 1L);
  Set(CURLOPT_BUFFERSIZE, kReceiveBytes);
  Set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  Set(CURLOPT_SSL_VERIFYPEER, Planted("trust-any-certificate") ? 0L : 1L);
  Set(CURLOPT_SSL_VERIFYHOST, 2L);
  const TrustSettings& chosen =
      request.ca_file.empty() ? trust : TrustSettings{request.ca_file, {}};
  Set(CURLOPT_CA_CACHE_TIMEOUT, kTrustSeconds);
  Set(CURLOPT_CAINFO, text(chosen.ca_file));
  Set(CURLOPT_CAPATH, text(chosen.ca_directory));
}

bool Transfer::IsUpload() const {
  const Request& request = exchange_.request;
  return !request.body.empty() || request.method == "PUT" || request.method == "POST";
}

bool Transfer::AsksBeforeBody() const {
  return exchange_.request.body.size() > kUnaskedBytesMax &&
         habits_.SaysContinue(exchange_.origin.ToString());
}

void Transfer::SetMethod() {
  const Request& request = exchange_.request;
  const bool is_head = request.method == "HEAD";
  Set(CURLOPT_UPLOAD, 0L);
  Set(CURLOPT_NOBODY, 0L);
  Set(CURLOPT_HTTPGET, 1L);
  if (IsUpload()) Set(CURLOPT_UPLOAD, 1L);
  if (is_head) Set(CURLOPT_NOBODY, 1L);
  Set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  Set(CURLOPT_INFILESIZE_LARGE,
      IsUpload() ? static_cast<curl_off_t>(request.body.size()) : static_cast<curl_off_t>(-1));
  if (IsUpload()) Set(CURLOPT_UPLOAD_BUFFERSIZE, kUploadBytes);
  Set(CURLOPT_HTTP_VERSION,
      static_cast<long>(request.body.size() > kSharedUploadBytesMax ? CURL_HTTP_VERSION_1_1
                                                                    : CURL_HTTP_VERSION_2TLS));
}

void Transfer::AddHeader(const std::string& line) {
  curl_slist* const longer = curl_slist_append(headers_, line.c_str());
  if (longer == nullptr) {
    set_failed_ = CURLE_OUT_OF_MEMORY;
  } else {
    headers_ = longer;
  }
}

void Transfer::SetHeaders() {
  for (const Header& header : exchange_.request.headers) {
    // "Name;" is how curl is told of a header without a value; "Name:" takes one away.
    AddHeader(header.value.empty() ? Concat(header.name, ";")
                                   : Concat(header.name, ": ", header.value));
  }
  if (!AsksBeforeBody()) AddHeader("Expect:");
  Set(CURLOPT_EXPECT_100_TIMEOUT_MS, Milliseconds(options_.continue_max));
  Set(CURLOPT_HTTPHEADER, headers_);
  Set(CURLOPT_USERAGENT, options_.user_agent.c_str());
}

/// curl keeps a copy of the password while the handle is used, which no program can lock or wipe;
/// cofferd's memory is not dumped (HardenProcess).
void Transfer::SetUser() {
  const Request& request = exchange_.request;
  if (!request.user.has_value()) {
    Set(CURLOPT_USERNAME, static_cast<const char*>(nullptr));
    Set(CURLOPT_PASSWORD, static_cast<const char*>(nullptr));
    Set(CURLOPT_HTTPAUTH, static_cast<unsigned long>(CURLAUTH_NONE));
    return;
  }
  std::string password(AsText(request.user->password->view()));
  Set(CURLOPT_USERNAME, request.user->name.c_str());
  Set(CURLOPT_PASSWORD, password.c_str());
  const unsigned long known = habits_.Scheme(key_);
  Set(CURLOPT_HTTPAUTH, known != 0 ? known : CURLAUTH_BASIC | CURLAUTH_DIGEST);
  Wipe(std::as_writable_bytes(std::span(password)));
}

void Transfer::SetCallbacks() {
  Set(CURLOPT_HEADERFUNCTION, &OnHeader);
  Set(CURLOPT_HEADERDATA, this);
  Set(CURLOPT_WRITEFUNCTION, &OnBody);
  Set(CURLOPT_WRITEDATA, this);
  Set(CURLOPT_READFUNCTION, &OnRead);
  Set(CURLOPT_READDATA, this);
  Set(CURLOPT_SEEKFUNCTION, &OnSeek);
  Set(CURLOPT_SEEKDATA, this);
  Set(CURLOPT_ERRORBUFFER, detail_);
  Set(CURLOPT_PRIVATE, this);
}

std::size_t Transfer::OnHeader(char* data, std::size_t size, std::size_t count, void* self) {
  const std::string_view line(data, size * count);
  return static_cast<Transfer*>(self)->collector_.TakeHeaderLine(line) ? line.size() : 0;
}

std::size_t Transfer::OnBody(char* data, std::size_t size, std::size_t count, void* self) {
  const ByteView bytes = AsBytes({data, size * count});
  return static_cast<Transfer*>(self)->collector_.TakeBody(bytes) ? bytes.size() : 0;
}

std::size_t Transfer::OnRead(char* out, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const ByteView body = transfer.exchange_.request.body;
  const std::size_t length = std::min(size * count, body.size() - transfer.sent_);
  if (length > 0) std::memcpy(out, body.data() + transfer.sent_, length);
  transfer.sent_ += length;
  return length;
}

/// To begin again: after a challenge, or when a connection that was kept turns out to be closed.
int Transfer::OnSeek(void* self, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(self);
  const auto size = static_cast<curl_off_t>(transfer.exchange_.request.body.size());
  if (origin != SEEK_SET || offset < 0 || offset > size) return CURL_SEEKFUNC_FAIL;
  transfer.sent_ = static_cast<std::size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

std::int64_t Transfer::Count(CURLINFO info) const {
  curl_off_t count = 0;
  return curl_easy_getinfo(easy_.get(), info, &count) == CURLE_OK ? count : 0;
}

/// Changes with each byte either way, those too that the kernel took long ago and only now gets
/// rid of: on a slow line it may have taken a whole upload at once.
std::uint64_t Transfer::Moved() const {
  curl_socket_t socket = CURL_SOCKET_BAD;
  int unsent = 0;
  if (curl_easy_getinfo(easy_.get(), CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK &&
      socket != CURL_SOCKET_BAD) {
    (void)ioctl(socket, SIOCOUTQ, &unsent);
  }
  // Added up two of them might cancel out; curl's counts and the kernel's keep to their own digits.
  const auto bodies = static_cast<std::uint64_t>(Count(CURLINFO_SIZE_UPLOAD_T)) +
                      static_cast<std::uint64_t>(Count(CURLINFO_SIZE_DOWNLOAD_T)) +
                      collector_.header_bytes() +
                      static_cast<std::uint64_t>(Count(CURLINFO_PRETRANSFER_TIME_T) > 0);
  return (bodies << 24) ^ static_cast<std::uint64_t>(unsent);
}

std::optional<Error> Transfer::Overdue(MonotonicTime now) {
  const std::string host = exchange_.origin.Name();
  if (stall_.HasStalled(now, Moved())) {
    return Error{ErrorCode::kUnavailable,
                 Concat(host, " stalled: not a byte moved for ", InSeconds(options_.stall_max)),
                 "check this machine's network; what waits is tried again"};
  }
  // What comes with a challenge that is answered never reaches the collector.
  const auto received = static_cast<std::uint64_t>(Count(CURLINFO_SIZE_DOWNLOAD_T));
  if (received > std::max(collector_.body_limit(), kErrorBodyBytesMax) + kReceiveBytes) {
    return Error{ErrorCode::kUnavailable, host + " asks for a password and finds no end",
                 "check the address"};
  }
  return std::nullopt;
}

Result<Response> Transfer::Finish(CURLcode code) {
  if (collector_.error().has_value()) return Fail(*collector_.error());
  if (code != CURLE_OK) return Fail(ErrorOf(code));
  if (!collector_.has_whole_head()) return Fail(ErrorOf(CURLE_GOT_NOTHING));
  NoteHabits();
  // A handle whose user was refused would go on as it began.
  may_be_used_again_ = collector_.status() != 401;
  return collector_.Take();
}

void Transfer::NoteHabits() {
  if (collector_.has_passed_challenge()) {
    long offered = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_HTTPAUTH_AVAIL, &offered);
    const bool digest = (static_cast<unsigned long>(offered) & CURLAUTH_DIGEST) != 0;
    habits_.NoteScheme(key_, digest ? CURLAUTH_DIGEST : CURLAUTH_BASIC);
  } else if (collector_.status() == 401) {
    habits_.ForgetScheme(key_);
  }
  const bool took_it = collector_.status() >= 200 && collector_.status() < 300;
  if (AsksBeforeBody() && took_it && !collector_.was_told_to_continue()) {
    habits_.NoteSilent(exchange_.origin.ToString());
  }
}

Error Transfer::ErrorOf(CURLcode code) const {
  CurlFailure failure;
  failure.code = code;
  failure.host = exchange_.origin.Name();
  failure.detail = detail_[0] != '\0' ? detail_ : curl_easy_strerror(code);
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &failure.os_error);
  curl_easy_getinfo(easy_.get(), CURLINFO_SSL_VERIFYRESULT, &failure.verify_result);
  curl_easy_getinfo(easy_.get(), CURLINFO_HTTP_CONNECTCODE, &failure.proxy_status);
  failure.has_head = collector_.has_whole_head();
  failure.connect_max = InSeconds(options_.connect_max);
  return ErrorFromCurl(failure);
}

StatisticsTable::Ended Transfer::Counted(RequestEnd end, MonotonicTime now) const {
  long connections = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_NUM_CONNECTS, &connections);
  return {end, now - begun_, static_cast<std::uint64_t>(connections),
          static_cast<std::uint64_t>(Count(CURLINFO_SIZE_UPLOAD_T)),
          static_cast<std::uint64_t>(Count(CURLINFO_SIZE_DOWNLOAD_T))};
}

}  // namespace coffer::http
