#include "core/store/secret_file.h"

#include <unistd.h>

#include <algorithm>
#include <memory>

#include "core/base/log.h"

namespace coffer::store {
namespace {

constexpr std::size_t kFileBytesMax = 4096;
constexpr std::uint32_t kModeOfOthers = 077;
constexpr std::uint32_t kRoot = 0;

tl::unexpected<Error> Refuse(const std::string& path, std::string_view why, std::string hint = {}) {
  Error error{.code = ErrorCode::kUnauthenticated,
              .message = Concat("credentials file ", EscapeForTerminal(path), " ", why),
              .hint = std::move(hint)};
  error.cause = ErrorCause::kCredentials;
  return Fail(std::move(error));
}

Status CheckPrivate(const std::string& path, const FileInfo& info) {
  if (info.owner_uid != geteuid() && info.owner_uid != kRoot) {
    return Refuse(path, Concat("belongs to user ", info.owner_uid, ", not to the user of cofferd"));
  }
  if ((info.mode & kModeOfOthers) != 0) {
    return Refuse(path, "may be read or changed by others",
                  Concat("chmod 600 ", EscapeForTerminal(path)));
  }
  return {};
}

ByteView FirstLine(ByteView text) {
  const auto end = std::find(text.begin(), text.end(), std::byte{'\n'});
  ByteView line = text.first(static_cast<std::size_t>(end - text.begin()));
  if (!line.empty() && line.back() == std::byte{'\r'}) line = line.first(line.size() - 1);
  return line;
}

}  // namespace

Result<SecretBytes> ReadSecretFile(FileSystem& fs, const std::string& path) {
  const auto file = fs.Open(path, FileSystem::OpenMode::kRead);
  if (!file.has_value()) {
    return Refuse(path, Concat("cannot be opened: ", file.error().message),
                  "name a regular file, not a link, with the password as its first line");
  }
  const Result<FileInfo> info = (*file)->Info();
  if (!info.has_value()) return Refuse(path, Concat("cannot be used: ", info.error().message));
  RETURN_IF_ERROR(CheckPrivate(path, *info));
  SecretBytes text(kFileBytesMax);
  const Result<std::size_t> length = (*file)->ReadAt(0, text.mutable_view());
  if (!length.has_value()) return Refuse(path, Concat("cannot be read: ", length.error().message));
  const ByteView line = FirstLine(text.view().first(*length));
  if (line.empty()) return Refuse(path, "has no password in its first line");
  if (line.size() == kFileBytesMax) return Refuse(path, "has a first line that is no password");
  if (std::ranges::find(line, std::byte{0}) != line.end()) {
    return Refuse(path, "holds a NUL byte in its first line");
  }
  return SecretBytes::CopyOf(line);
}

}  // namespace coffer::store
