// Drives a Mounter by hand and from scripts, on an image of any kind:
//   mount_tool mount IMAGE DIR RECORD [WAY [TYPE]]   mounts, tells how, unmounts at a line on stdin
//                                                    ("force" unmounts by force) or at its end
//   mount_tool cleanup RECORD                        undoes what a killed one left
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "core/mount/mounter.h"

namespace {

using coffer::mount::Force;

int Explain(const coffer::Error& error) {
  std::cout << "error " << coffer::ErrorCodeName(error.code) << ": " << error.message << "\nhint "
            << error.hint << std::endl;
  return 1;
}

int Mount(coffer::mount::Mounter& mounter, const std::vector<std::string>& words) {
  coffer::mount::MountSpec spec;
  spec.image = words[1];
  spec.directory = words[2];
  spec.record_path = words[3];
  if (words.size() > 4) spec.way = words[4];
  if (words.size() > 5) spec.make = words[5];
  spec.is_blank = true;
  spec.label = "tool";
  const auto mounted = mounter.Mount(spec);
  if (!mounted.has_value()) return Explain(mounted.error());
  const coffer::mount::MountedAs& as = (*mounted)->as();
  for (const std::string& passed_over : as.passed_over) std::cout << "not " << passed_over << "\n";
  std::cout << "mounted " << as.way << " " << as.file_system << " " << as.path << " " << as.device
            << std::endl;
  for (std::string line; true;) {
    const bool ends = !std::getline(std::cin, line);
    if (line == "trouble") {
      std::cout << "trouble " << coffer::mount::TroubleText(as, (*mounted)->presence())
                << std::endl;
      continue;
    }
    const auto unmounted = (*mounted)->Unmount({line == "force" ? Force::kYes : Force::kNo});
    if (unmounted.has_value()) return 0;
    Explain(unmounted.error());
    if (ends) return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto fs = coffer::NewPosixFileSystem();
  const auto mounter = coffer::mount::NewSystemMounter(*fs, {.uid = geteuid(), .gid = getegid()});
  if (words.size() >= 4 && words[0] == "mount") return Mount(*mounter, words);
  if (words.size() == 2 && words[0] == "cleanup") {
    const auto cleaned = mounter->CleanUp(words[1]);
    return cleaned.has_value() ? 0 : Explain(cleaned.error());
  }
  std::cerr << "mount_tool mount IMAGE DIR RECORD [WAY [TYPE]] | cleanup RECORD\n";
  return 2;
}
