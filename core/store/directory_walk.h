// Lists the objects under a directory in the byte order of their full names, reading only the
// directories that can hold a wanted name.
//
// The order of a directory's entries is not that order: the file "a-b" comes before everything in
// the directory "a", since '-' and '.' sort before '/'. So a directory found on the way waits until
// no entry can come before its contents. Entries that no object name can have are passed over, and
// directories that no object can be in; a symbolic link is never followed.
#pragma once

#include <string>

#include "core/base/file_system.h"
#include "core/store/object_store.h"

namespace coffer::store {

/// ObjectStore::List over the tree at `root`. A missing directory holds no names.
Result<ListPage> ListDirectoryTree(FileSystem& fs, const std::string& root,
                                   const std::string& prefix, const std::string& start_after,
                                   std::size_t limit);

/// What stands at object name `name` below `root`: kNotFound if nothing or a directory; kCorruption
/// if it, or a directory on the way, is a symbolic link.
Result<FileInfo> StatObject(FileSystem& fs, const std::string& root, const std::string& name);

}  // namespace coffer::store
