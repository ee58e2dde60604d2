// What a daemon that was killed leaves mounted, so that the next one can find and undo exactly
// that: one file per volume in the state directory, written before each step and durable before it
// is taken, removed when all is undone. Also which file system was made and has not been mounted
// since, so that the next try need not make it again over itself.
//
// The file: text, one "WORD VALUE" a line, "%XX" for control characters and "%":
//   coffer-mount 1
//   boot ID | image PATH | way NAME | device PATH | object PATH
//   directory existed|made MODE PATH | link PATH | made TYPE UUID
// Lines of other words are left alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/mount/mount_point.h"

namespace coffer::mount {

struct Record {
  std::string boot;  // nothing is mounted any more after another one
  std::string image;
  MountPoint point;
  std::string way;     // that was begun last; "" for none: there is nothing to undo
  std::string device;  // loop device, once there is one
  std::string object;  // what udisks calls it
  std::string link;    // where the symbolic link at `point` leads, if one was made
  std::string made;    // "ext4 UUID": the file system that was made, until it has been mounted
};

[[nodiscard]] std::string EncodeRecord(const Record& record);
Result<Record> DecodeRecord(std::string_view text);

Status WriteRecord(FileSystem& fs, const std::string& path, const Record& record);
/// Empty where there is none.
Result<std::optional<Record>> ReadRecord(FileSystem& fs, const std::string& path);
Status RemoveRecord(FileSystem& fs, const std::string& path);
/// Nothing of `record` is to be undone any more. Keeps what was made, if anything was.
Status SettleRecord(FileSystem& fs, const std::string& path, const Record& record);

/// Names this run of the machine.
[[nodiscard]] std::string BootId();

}  // namespace coffer::mount
