// What hosts have shown of themselves, so that it need not be found out again with each request.
// Bounded: what is not noted is found out again. One thread.
#pragma once

#include <map>
#include <set>
#include <string>

namespace coffer::http {

class HostHabits {
 public:
  /// The schemes (CURLAUTH_…) to answer challenges with: what worked the last time for this place
  /// and user, else 0.
  [[nodiscard]] unsigned long Scheme(const std::string& user_key) const {
    const auto found = schemes_.find(user_key);
    return found == schemes_.end() ? 0 : found->second;
  }
  void NoteScheme(const std::string& user_key, unsigned long scheme) {
    if (schemes_.size() < kMax || schemes_.contains(user_key)) schemes_[user_key] = scheme;
  }
  void ForgetScheme(const std::string& user_key) { schemes_.erase(user_key); }

  /// A host that never says "100 Continue" takes uploads at once: to wait for it is lost time.
  [[nodiscard]] bool SaysContinue(const std::string& origin) const {
    return !silent_.contains(origin);
  }
  void NoteSilent(const std::string& origin) {
    if (silent_.size() < kMax) silent_.insert(origin);
  }

 private:
  static constexpr std::size_t kMax = 256;
  std::map<std::string, unsigned long> schemes_;
  std::set<std::string> silent_;
};

}  // namespace coffer::http
