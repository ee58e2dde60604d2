#include "core/base/real_path.h"

#include <cstdlib>
#include <memory>

namespace coffer {

std::string RealPath(const std::string& path) {
  struct Free {
    void operator()(char* text) const { std::free(text); }
  };
  const std::unique_ptr<char, Free> real(realpath(path.c_str(), nullptr));
  return real == nullptr ? path : std::string(real.get());
}

}  // namespace coffer
