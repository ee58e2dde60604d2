#include "core/store/aws_files.h"

#include "core/base/line_text.h"
#include "core/base/log.h"
#include "core/base/real_path.h"
#include "core/http/header_text.h"

namespace coffer::store {
namespace {

constexpr std::uint64_t kFileBytesMax = 1 << 20;
constexpr std::uint32_t kModeOfOthers = 077;

std::string_view WithoutReturn(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// "[profile x]" and "[x]" to "x"; nullopt: no section's head.
std::optional<std::string_view> SectionName(std::string_view line) {
  if (!line.starts_with('[') || !line.ends_with(']')) return std::nullopt;
  std::string_view name = http::Trimmed(line.substr(1, line.size() - 2));
  constexpr std::string_view kWord = "profile";
  if (name.starts_with(kWord) && name.size() > kWord.size() &&
      (name[kWord.size()] == ' ' || name[kWord.size()] == '\t')) {
    name = http::Trimmed(name.substr(kWord.size()));
  }
  if (name.size() >= 2 && name.front() == '"' && name.back() == '"') {
    name = name.substr(1, name.size() - 2);
  }
  return name;
}

void SetProperty(AwsProfile& profile, std::string_view name, std::string_view value) {
  if (name == "aws_access_key_id") {
    profile.access_key = std::string(value);
  } else if (name == "aws_secret_access_key") {
    profile.secret_key = SecretBytes::CopyOf(AsBytes(value));
  } else if (name == "aws_session_token" || name == "aws_security_token") {
    profile.session_token = SecretBytes::CopyOf(AsBytes(value));
  } else {
    profile.settings[std::string(name)] = std::string(value);
  }
}

/// The file's bytes, wiped in the end whatever they were read for.
class WipedBytes {
 public:
  explicit WipedBytes(Bytes bytes) : bytes_(std::move(bytes)) {}
  ~WipedBytes() { Wipe(bytes_); }
  WipedBytes(const WipedBytes&) = delete;
  WipedBytes& operator=(const WipedBytes&) = delete;
  [[nodiscard]] ByteView view() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace

Result<std::optional<AwsProfile>> FindAwsProfile(ByteView text, const std::string& profile) {
  std::optional<AwsProfile> found;
  bool in_section = false;  // behind any section's head
  bool wanted = false;      // behind that of `profile`
  std::string_view rest = AsText(text);
  for (int number = 1; !rest.empty(); ++number) {
    const std::string_view line = WithoutReturn(TakeUntil(rest, '\n'));
    const std::string_view content = http::Trimmed(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (const auto name = SectionName(content)) {
      in_section = true;
      wanted = *name == profile;
      if (wanted && !found) found.emplace();
      continue;
    }
    if (line.front() == ' ' || line.front() == '\t') continue;
    const std::size_t equals = content.find('=');
    if (!in_section || equals == std::string_view::npos) {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("line ", number, " is neither [section] nor name = value"));
    }
    if (!wanted) continue;
    SetProperty(*found, http::Trimmed(content.substr(0, equals)),
                http::Trimmed(content.substr(equals + 1)));
  }
  return found;
}

Result<std::optional<AwsProfile>> ReadAwsFile(FileSystem& fs, const std::string& path,
                                              const std::string& profile) {
  const std::string real_path = RealPath(path);
  Result<Bytes> read = ReadWholeFile(fs, real_path, kFileBytesMax);
  if (!read.has_value()) {
    if (read.error().code == ErrorCode::kNotFound) return std::optional<AwsProfile>();
    return Fail(read.error());
  }
  const WipedBytes bytes(std::move(*read));
  auto found = FindAwsProfile(bytes.view(), profile);
  if (!found.has_value()) return Fail(found.error().Within(path));
  if (*found && !(*found)->secret_key.empty()) {
    ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(real_path));
    if ((info.mode & kModeOfOthers) != 0) {
      return Fail(Error{.code = ErrorCode::kUnauthenticated,
                        .message = Concat(path, " holds a secret key and is open to other users"),
                        .hint = Concat("make it yours alone: chmod 600 ", path)});
    }
  }
  return found;
}

}  // namespace coffer::store
