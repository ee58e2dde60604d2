// Certificates for tests, made anew each time: no secret of anybody's lies in the repository.
#pragma once

#include <string>
#include <vector>

namespace coffer {

/// Key and certificate, PEM.
struct TestCertificate {
  std::string key;
  std::string certificate;
};

enum class Validity { kNow, kExpired, kNotYet };

class TestAuthority {
 public:
  TestAuthority();
  /// For host names or addresses of IPv4.
  [[nodiscard]] TestCertificate Issue(const std::vector<std::string>& names,
                                      Validity validity = Validity::kNow) const;
  /// What a client trusts, PEM.
  [[nodiscard]] const std::string& certificate() const { return own_.certificate; }

 private:
  TestCertificate own_;
};

}  // namespace coffer
