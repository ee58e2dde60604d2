#include "core/mount/record.h"

#include <charconv>

#include "core/base/line_text.h"
#include "core/base/log.h"
#include "core/mount/system_files.h"

namespace coffer::mount {
namespace {

constexpr std::string_view kFirstLine = "coffer-mount ";
constexpr std::uint64_t kFileBytesMax = 64 << 10;

bool Unescape(std::string_view text, std::string* plain) {
  auto unescaped = UnescapeFromLine(text);
  if (unescaped) *plain = *std::move(unescaped);
  return unescaped.has_value();
}

bool ParsePoint(std::string_view rest, MountPoint* point) {
  const std::string_view was = TakeUntil(rest, ' ');
  if (was != "existed" && was != "made") return false;
  point->existed = was == "existed";
  const std::string_view mode = TakeUntil(rest, ' ');
  const auto [end, error] = std::from_chars(mode.data(), mode.data() + mode.size(), point->mode, 8);
  return error == std::errc() && end == mode.data() + mode.size() && Unescape(rest, &point->path);
}

bool ParseLine(std::string_view line, Record* record) {
  const std::string_view word = TakeUntil(line, ' ');
  if (word == "directory") return ParsePoint(line, &record->point);
  const std::pair<std::string_view, std::string*> fields[] = {
      {"boot", &record->boot},     {"image", &record->image},   {"way", &record->way},
      {"device", &record->device}, {"object", &record->object}, {"link", &record->link},
      {"made", &record->made}};
  for (const auto& [name, value] : fields) {
    if (word == name) return Unescape(line, value);
  }
  return true;
}

std::string Octal(mode_t mode) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) {
    text.push_back(static_cast<char>('0' + ((mode >> shift) & 7U)));
  }
  return text;
}

}  // namespace

std::string EncodeRecord(const Record& record) {
  std::string text = Concat(
      kFirstLine, "1\nboot ", EscapeForLine(record.boot), "\nimage ", EscapeForLine(record.image),
      "\ndirectory ", record.point.existed ? "existed " : "made ", Octal(record.point.mode), " ",
      EscapeForLine(record.point.path), "\nway ", EscapeForLine(record.way), "\n");
  if (!record.device.empty()) text.append(Concat("device ", EscapeForLine(record.device), "\n"));
  if (!record.object.empty()) text.append(Concat("object ", EscapeForLine(record.object), "\n"));
  if (!record.link.empty()) text.append(Concat("link ", EscapeForLine(record.link), "\n"));
  if (!record.made.empty()) text.append(Concat("made ", EscapeForLine(record.made), "\n"));
  return text;
}

Result<Record> DecodeRecord(std::string_view text) {
  if (TakeUntil(text, '\n') != Concat(kFirstLine, "1")) {
    return Fail(ErrorCode::kCorruption, "it is no record of a mount");
  }
  Record record;
  while (!text.empty()) {
    if (!ParseLine(TakeUntil(text, '\n'), &record)) {
      return Fail(ErrorCode::kCorruption, "the record of a mount is damaged");
    }
  }
  if (record.image.empty() || record.point.path.empty()) {
    return Fail(ErrorCode::kCorruption, "the record of a mount is not whole");
  }
  return record;
}

Status WriteRecord(FileSystem& fs, const std::string& path, const Record& record) {
  return ReplaceFile(fs, path, AsBytes(EncodeRecord(record)));
}

Result<std::optional<Record>> ReadRecord(FileSystem& fs, const std::string& path) {
  const auto bytes = ReadReplacedFile(fs, path, kFileBytesMax);
  if (!bytes.has_value()) {
    if (bytes.error().code == ErrorCode::kNotFound) return std::optional<Record>();
    return Fail(bytes.error());
  }
  auto record = DecodeRecord({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!record.has_value()) return Fail(record.error().Within(path));
  return std::optional<Record>(*std::move(record));
}

Status RemoveRecord(FileSystem& fs, const std::string& path) {
  const Status removed = fs.Remove(path);
  if (removed.has_value() || removed.error().code == ErrorCode::kNotFound) return {};
  return removed;
}

Status SettleRecord(FileSystem& fs, const std::string& path, const Record& record) {
  if (record.made.empty()) return RemoveRecord(fs, path);
  Record left;
  left.boot = record.boot;
  left.image = record.image;
  left.point = record.point;
  left.made = record.made;
  return WriteRecord(fs, path, left);
}

std::string BootId() { return ReadSystemLine("/proc/sys/kernel/random/boot_id"); }

}  // namespace coffer::mount
