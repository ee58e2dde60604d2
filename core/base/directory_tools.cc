#include "core/base/directory_tools.h"

namespace coffer {
namespace {

DirectoryTools* ToolsOf(FileSystem& fs) { return dynamic_cast<DirectoryTools*>(&fs); }

}  // namespace

Result<std::unique_ptr<File>> CreateShared(FileSystem& fs, const std::string& path,
                                           const std::string& grantor) {
  if (DirectoryTools* tools = ToolsOf(fs)) return tools->CreateShared(path, grantor);
  return fs.Open(path, FileSystem::OpenMode::kCreate);
}

Status CreateSharedDirectory(FileSystem& fs, const std::string& path, const std::string* grantor) {
  if (DirectoryTools* tools = ToolsOf(fs)) return tools->CreateSharedDirectory(path, grantor);
  return fs.CreateDirectory(path);
}

Result<std::vector<std::string>> ListFirst(FileSystem& fs, const std::string& path,
                                           const NameFilter& wanted, std::size_t count) {
  if (DirectoryTools* tools = ToolsOf(fs)) return tools->ListFirst(path, wanted, count);
  ASSIGN_OR_RETURN(std::vector<std::string> names, fs.List(path));
  std::erase_if(names, [&](const std::string& name) { return !wanted(name); });
  if (names.size() > count) names.resize(count);
  return names;
}

Result<std::string> ResolvePath(FileSystem& fs, const std::string& path) {
  if (DirectoryTools* tools = ToolsOf(fs)) return tools->Resolve(path);
  return path;
}

}  // namespace coffer
