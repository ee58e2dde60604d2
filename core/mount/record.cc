#include "core/mount/record.h"

#include <algorithm>
#include <charconv>

#include "core/base/log.h"
#include "core/mount/system_files.h"

namespace coffer::mount {
namespace {

constexpr std::string_view kFirstLine = "coffer-mount ";
constexpr std::uint64_t kFileBytesMax = 64 << 10;

std::string Escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '%') {
      escaped.append("%").append(ToHex(AsBytes({&c, 1})));
    } else {
      escaped.push_back(c);
    }
  }
  return escaped;
}

bool Unescape(std::string_view text, std::string* plain) {
  plain->clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain->push_back(text[i]);
      continue;
    }
    std::byte byte;
    if (i + 2 >= text.size() || !FromHex(text.substr(i + 1, 2), {&byte, 1})) return false;
    plain->push_back(static_cast<char>(byte));
    i += 2;
  }
  return true;
}

/// Takes the text up to the next `separator` (or the end) off the front of `rest`.
std::string_view TakeUntil(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return taken;
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
      {"device", &record->device}, {"object", &record->object}, {"link", &record->link}};
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
  std::string text =
      Concat(kFirstLine, "1\nboot ", Escape(record.boot), "\nimage ", Escape(record.image),
             "\ndirectory ", record.point.existed ? "existed " : "made ", Octal(record.point.mode),
             " ", Escape(record.point.path), "\nway ", Escape(record.way), "\n");
  if (!record.device.empty()) text.append(Concat("device ", Escape(record.device), "\n"));
  if (!record.object.empty()) text.append(Concat("object ", Escape(record.object), "\n"));
  if (!record.link.empty()) text.append(Concat("link ", Escape(record.link), "\n"));
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

std::string BootId() { return ReadSystemLine("/proc/sys/kernel/random/boot_id"); }

}  // namespace coffer::mount
