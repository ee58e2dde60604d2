// One attempt: a request on an easy handle, its response as it comes, and how it ended. One thread,
// the one that has the multi handle.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/http/easy_handles.h"
#include "core/http/exchange.h"
#include "core/http/host_habits.h"
#include "core/http/http_options.h"
#include "core/http/response_collector.h"
#include "core/http/stall_watch.h"
#include "core/http/statistics.h"
#include "core/http/trust_settings.h"

namespace coffer::http {

class Transfer {
 public:
  /// Takes a handle and prepares it; `exchange` is not settled before the transfer is gone.
  static Result<std::unique_ptr<Transfer>> Prepare(const HttpOptions& options,
                                                   const TrustSettings& trust, EasyHandles& handles,
                                                   HostHabits& habits, const Exchange& exchange,
                                                   MonotonicTime now);
  /// REQUIRES: the handle has left the multi handle.
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  [[nodiscard]] CURL* easy() { return easy_.get(); }

  /// Why it must end now, if it must: it stands still, or there is no end to what is thrown away.
  [[nodiscard]] std::optional<Error> Overdue(MonotonicTime now);

  /// What became of it, after curl has said `code`.
  [[nodiscard]] Result<Response> Finish(CURLcode code);

  [[nodiscard]] StatisticsTable::Ended Counted(RequestEnd end, MonotonicTime now) const;

 private:
  Transfer(const HttpOptions& options, EasyHandles& handles, HostHabits& habits,
           const Exchange& exchange, MonotonicTime now);

  void SetPlace(const TrustSettings& trust);
  void SetMethod();
  void SetHeaders();
  void AddHeader(const std::string& line);
  void SetUser();
  void SetCallbacks();
  template <class Value>
  void Set(CURLoption option, Value value);

  [[nodiscard]] bool IsUpload() const;
  [[nodiscard]] bool AsksBeforeBody() const;
  void NoteHabits();
  [[nodiscard]] std::uint64_t Moved() const;
  [[nodiscard]] Error ErrorOf(CURLcode code) const;
  [[nodiscard]] std::int64_t Count(CURLINFO info) const;

  static std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t OnRead(char* out, std::size_t size, std::size_t count, void* self);
  static int OnSeek(void* self, curl_off_t offset, int origin);

  const HttpOptions& options_;
  EasyHandles& handles_;
  HostHabits& habits_;
  const Exchange& exchange_;
  const std::string key_;
  const MonotonicTime begun_;
  ResponseCollector collector_;
  StallWatch stall_;
  EasyHandle easy_;
  curl_slist* headers_ = nullptr;
  bool may_be_used_again_ = false;
  CURLcode set_failed_ = CURLE_OK;
  std::size_t sent_ = 0;  // of the body
  char detail_[CURL_ERROR_SIZE] = {};
};

}  // namespace coffer::http
