#include "core/http/easy_handles.h"

#include <algorithm>
#include <utility>

namespace coffer::http {

EasyHandle EasyHandles::Take(const std::string& key) {
  for (;;) {
    const auto found = std::find_if(idle_.begin(), idle_.end(),
                                    [&key](const Idle& idle) { return idle.key == key; });
    if (found == idle_.end()) return EasyHandle(curl_easy_init());
    EasyHandle easy = std::move(found->easy);
    idle_.erase(found);
    // One that curl 7.88 still counts among those in flight, though it was removed: seen with many
    // streams of one HTTP/2 connection. It cannot be set, nor added; its end removes it.
    if (curl_easy_setopt(easy.get(), CURLOPT_BUFFERSIZE, kReceiveBytes) == CURLE_OK) return easy;
  }
}

void EasyHandles::GiveBack(const std::string& key, EasyHandle easy) {
  idle_.push_front({key, std::move(easy)});
  if (idle_.size() > kIdleMax) idle_.pop_back();
}

}  // namespace coffer::http
