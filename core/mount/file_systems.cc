#include "core/mount/file_systems.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <utility>

#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/shell_words.h"
#include "core/base/unique_fd.h"
#include "core/mount/system_files.h"

namespace coffer::mount {
namespace {

constexpr std::chrono::milliseconds kProbeLimit{60'000};

struct Maker {
  const char* type;
  const char* program;
  const char* package;
  std::size_t label_max;  // bytes
};
constexpr Maker kMakers[] = {
    {"ext4", "mke2fs", "e2fsprogs", 16},
    {"xfs", "mkfs.xfs", "xfsprogs", 12},
    {"btrfs", "mkfs.btrfs", "btrfs-progs", 255},
};

Result<const Maker*> MakerOf(const std::string& type) {
  for (const Maker& maker : kMakers) {
    if (type == maker.type) return &maker;
  }
  return Fail(ErrorCode::kInvalidArgument, "no file system of type \"" + type + "\" is made",
              "ext4, xfs or btrfs");
}

/// KEY=VALUE lines.
std::map<std::string, std::string> ParseExport(const std::string& text) {
  std::map<std::string, std::string> values;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const std::string line = text.substr(begin, end - begin);
    if (const std::size_t equals = line.find('='); equals != std::string::npos) {
      values[line.substr(0, equals)] = line.substr(equals + 1);
    }
    begin = end + 1;
  }
  return values;
}

Contents ContentsOf(const std::map<std::string, std::string>& found) {
  const auto value = [&found](const char* key) {
    const auto at = found.find(key);
    return at == found.end() ? std::string() : at->second;
  };
  Contents contents;
  if (value("USAGE") == "filesystem") {
    contents.file_system = value("TYPE");
    contents.uuid = value("UUID");
  } else if (!value("TYPE").empty()) {
    contents.other = value("TYPE");
  } else if (!value("PTTYPE").empty()) {
    contents.other = "a partition table (" + value("PTTYPE") + ")";
  }
  return contents;
}

/// The image was blank before: so it is again.
void Blank(const std::string& image) {
  const UniqueFd file(open(image.c_str(), O_RDWR | O_CLOEXEC));
  const off_t size = file.valid() ? lseek(file.get(), 0, SEEK_END) : 0;
  if (size <= 0) return;
  static_cast<void>(fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size));
}

/// mkfs.xfs takes the owner of the root directory from a prototype alone.
Status WritePrototype(const std::string& path, uid_t uid, gid_t gid) {
  const std::string text = Concat("-\n0 0\nd--755 ", uid, " ", gid, "\n$\n");
  const UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid() || write(file.get(), text.data(), text.size()) < 0) {
    return Fail(ErrorFromErrno(errno, "writing " + path));
  }
  return {};
}

}  // namespace

bool IsExt(const std::string& type) { return type == "ext2" || type == "ext3" || type == "ext4"; }

std::string UnreplayedNote(const std::string& file_system) {
  return "the " + file_system +
         " was in use when it was last written, and read-only its journal stays as it is: what was "
         "written last may be missing or not fit together; opened for writing once, it is whole";
}

std::vector<MountOptions> KernelOptions(const std::string& file_system, Access access) {
  // A volume and its copy have one UUID, which xfs wants to see once at a time.
  const std::string always = file_system == "xfs" ? ",nouuid" : "";
  if (access == Access::kReadWrite) return {{"rw" + always, ""}};
  std::vector<MountOptions> options = {{"ro" + always, ""}};
  const auto without_journal = [&](const char* words) {
    options.push_back({"ro" + always + words, UnreplayedNote(file_system)});
  };
  if (file_system == "ext3" || file_system == "ext4") without_journal(",noload");
  if (file_system == "xfs") without_journal(",norecovery");
  if (file_system == "btrfs") without_journal(",rescue=nologreplay");
  return options;
}

Error NotInstalled(const std::string& program, const std::string& package) {
  return Error{ErrorCode::kUnsupported, program + " is not installed", "apt install " + package};
}

std::string FileSystems::Find(const std::string& program) const {
  return FindProgram(program, directories_);
}

Result<Contents> FileSystems::Probe(const std::string& image) const {
  constexpr int kNothing = 2;
  constexpr int kSeveral = 8;
  const std::string blkid = Find("blkid");
  if (blkid.empty()) return Fail(NotInstalled("blkid", "util-linux"));
  // What says nothing where it cannot read either.
  if (const UniqueFd file(open(image.c_str(), O_RDONLY | O_CLOEXEC)); !file.valid()) {
    return Fail(ErrorFromErrno(errno, "opening " + image));
  }
  ASSIGN_OR_RETURN(const ProgramEnd end,
                   RunProgram({blkid, "-p", "-o", "export", image}, {.limit = kProbeLimit}));
  if (end.ok()) return ContentsOf(ParseExport(end.output));
  if (end.exit_code == kNothing) return Contents{};
  if (end.exit_code == kSeveral) return Contents{.other = "signatures of several kinds"};
  return Fail(ErrorCode::kIoError,
              "blkid cannot tell what is on " + image + ": " + InOneLine(end.output));
}

Status FileSystems::CheckCanMake(const std::string& type, uid_t uid) const {
  ASSIGN_OR_RETURN(const Maker* maker, MakerOf(type));
  if (Find(maker->program).empty()) return Fail(NotInstalled(maker->program, maker->package));
  if (type == "btrfs" && uid != 0) {
    return Fail(ErrorCode::kUnsupported,
                "mkfs.btrfs makes file systems for root alone: nobody else could write to it",
                "--mkfs=ext4 or --mkfs=xfs");
  }
  return {};
}

Status FileSystems::Make(const std::string& image, const NewFileSystem& wanted) const {
  RETURN_IF_ERROR(CheckCanMake(wanted.type, wanted.uid));
  Status made = RunMaker(image, wanted);
  if (made.has_value() && wanted.type == "ext4") made = Tune(image, wanted);
  if (!made.has_value()) Blank(image);
  return made;
}

Status FileSystems::RunMaker(const std::string& image, const NewFileSystem& wanted) const {
  ASSIGN_OR_RETURN(const Maker* maker, MakerOf(wanted.type));
  const std::string program = Find(maker->program);
  const std::string label = wanted.label.substr(0, maker->label_max);
  std::vector<std::string> words;
  if (wanted.type == "ext4") {
    // All that is not written reads as zeros: neither inode tables nor the journal need be.
    words = {program,
             "-q",
             "-F",
             "-t",
             "ext4",
             "-b",
             "4096",
             "-U",
             wanted.uuid,
             "-L",
             label,
             "-E",
             Concat("root_owner=", wanted.uid, ":", wanted.gid, ",discard,lazy_journal_init=1"),
             image};
  } else if (wanted.type == "xfs") {
    RETURN_IF_ERROR(WritePrototype(wanted.scratch, wanted.uid, wanted.gid));
    words = {program, "-q",  "-f", "-s",           "size=4096", "-m", "uuid=" + wanted.uuid,
             "-L",    label, "-p", wanted.scratch, image};
  } else {
    words = {program, "-q", "-f", "-U", wanted.uuid, "-L", label, image};
  }
  const auto end = RunProgram(words);
  if (wanted.type == "xfs") unlink(wanted.scratch.c_str());
  if (!end.has_value()) return Fail(end.error());
  if (end->ok()) return {};
  return Fail(ErrorCode::kIoError, "making the file system (" + wanted.type +
                                       "): " + maker->program + ": " + InOneLine(end->output));
}

/// What mke2fs 1.47.0 has no words for.
Status FileSystems::Tune(const std::string& image, const NewFileSystem& wanted) const {
  // What is deleted is given back to the store, whoever mounts it.
  if (const std::string tune = Find("tune2fs"); !tune.empty()) {
    ASSIGN_OR_RETURN(const ProgramEnd tuned, RunProgram({tune, "-o", "discard", image}));
    if (!tuned.ok()) return Fail(ErrorCode::kIoError, "tune2fs: " + InOneLine(tuned.output));
  }
  // lost+found would be root's: what its owner can't look into or copy.
  const std::string debugfs = wanted.uid == 0 ? std::string() : Find("debugfs");
  if (debugfs.empty()) return {};
  for (const auto& [field, id] : {std::pair{"uid ", wanted.uid}, std::pair{"gid ", wanted.gid}}) {
    ASSIGN_OR_RETURN(const ProgramEnd owned,
                     RunProgram({debugfs, "-w", "-R",
                                 Concat("set_inode_field /lost+found ", field, id), image}));
    if (!owned.ok()) return Fail(ErrorCode::kIoError, "debugfs: " + InOneLine(owned.output));
  }
  return {};
}

std::string NewUuid() { return ReadSystemLine("/proc/sys/kernel/random/uuid"); }

Status FileSystems::PutRightExt(const std::string& image) const {
  constexpr int kPutRightMax = 3;  // 1: corrected, 2: corrected, reboot
  const std::string program = Find("e2fsck");
  if (program.empty()) return {};  // with e2fsprogs missing nothing has made one either
  ASSIGN_OR_RETURN(const ProgramEnd end, RunProgram({program, "-p", image}));
  if (end.exit_code <= kPutRightMax) return {};
  return Fail(ErrorCode::kCorruption,
              "the file system on " + image + " is damaged: e2fsck: " + InOneLine(end.output),
              "e2fsck -f " + ShellQuoted(image) +
                  " asks what to do about it, while the volume is open with --fuse "
                  "and not mounted");
}

}  // namespace coffer::mount
