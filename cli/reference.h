// What is installed beside coffer for people to read and shells to complete, made at build time
// from the tables that the parser and --help use: nothing is written down twice.
#pragma once

#include <string>
#include <vector>

namespace coffer::cli {

struct ReferenceFile {
  std::string path;  // "man/man1/coffer-open.1", "bash/coffer"
  std::string text;
};

/// coffer(1), one page for each command, cofferd(8).
[[nodiscard]] std::vector<ReferenceFile> ManPages();
/// For bash, zsh and fish.
[[nodiscard]] std::vector<ReferenceFile> Completions();

}  // namespace coffer::cli
