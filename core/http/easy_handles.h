// curl's easy handles, and those that are idle. A handle remembers how its last host let its user
// in (the scheme, and Digest's nonce), so that it need not be asked again: handles with a user are
// used again for the same place and user only. One thread.
#pragma once

#include <curl/curl.h>

#include <list>
#include <memory>
#include <string>

namespace coffer::http {

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using EasyHandle = std::unique_ptr<CURL, FreeEasy>;

inline constexpr long kReceiveBytes = 128 << 10;  // of a handle's buffer

class EasyHandles {
 public:
  /// `key` says for whom; "" for requests without a user. Null if there is no memory.
  [[nodiscard]] EasyHandle Take(const std::string& key);
  void GiveBack(const std::string& key, EasyHandle easy);

 private:
  static constexpr std::size_t kIdleMax = 64;

  struct Idle {
    std::string key;
    EasyHandle easy;
  };
  std::list<Idle> idle_;  // the one given back last in front
};

}  // namespace coffer::http
