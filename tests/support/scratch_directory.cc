#include "tests/support/scratch_directory.h"

#include <cstdlib>
#include <filesystem>

#include "core/base/check.h"

namespace coffer {

ScratchDirectory::ScratchDirectory()
    : path_((std::filesystem::temp_directory_path() / "coffer-test-XXXXXX").string()) {
  CHECK(mkdtemp(path_.data()) != nullptr);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;  // a test that changed modes may leave something; never fail for it
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace coffer
