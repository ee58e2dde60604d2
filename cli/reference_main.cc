// coffer_reference DIRECTORY: writes man pages and completions there; run by the build.
#include <cstdio>

#include "cli/reference.h"
#include "core/base/file_system.h"

namespace coffer::cli {
namespace {

Status WriteAll(FileSystem& fs, const std::string& root, const std::vector<ReferenceFile>& files) {
  for (const ReferenceFile& file : files) {
    const std::string path = root + "/" + file.path;
    RETURN_IF_ERROR(CreateDirectories(fs, path.substr(0, path.rfind('/'))));
    RETURN_IF_ERROR(ReplaceFile(fs, path, AsBytes(file.text)));
  }
  return {};
}

Status Run(const std::string& root) {
  const auto fs = NewPosixFileSystem();
  RETURN_IF_ERROR(WriteAll(*fs, root, ManPages()));
  return WriteAll(*fs, root, Completions());
}

}  // namespace
}  // namespace coffer::cli

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: coffer_reference DIRECTORY\n");
    return 2;
  }
  const coffer::Status done = coffer::cli::Run(argv[1]);
  if (done.has_value()) return 0;
  std::fprintf(stderr, "coffer_reference: %s\n", done.error().message.c_str());
  return 1;
}
