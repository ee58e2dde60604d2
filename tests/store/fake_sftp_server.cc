#include "tests/store/fake_sftp_server.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace coffer::store {
namespace {

enum : int {
  kInit = 1,
  kVersion = 2,
  kOpen = 3,
  kClose = 4,
  kRead = 5,
  kWrite = 6,
  kLstat = 7,
  kFstat = 8,
  kOpenDirectory = 11,
  kReadDirectory = 12,
  kRemove = 13,
  kMakeDirectory = 14,
  kRemoveDirectory = 15,
  kRealPath = 16,
  kStat = 17,
  kRename = 18,
  kExtended = 200,
};
enum : std::uint32_t {
  kOk = 0,
  kEof = 1,
  kNoSuchFile = 2,
  kFailure = 4,
  kUnsupported = 8,
};

std::uint64_t TakeNumber(std::string& rest, std::size_t width) {
  CHECK(rest.size() >= width);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value = value << 8 | static_cast<unsigned char>(rest[i]);
  }
  rest.erase(0, width);
  return value;
}

std::string TakeText(std::string& rest) {
  const auto size = static_cast<std::size_t>(TakeNumber(rest, 4));
  CHECK(rest.size() >= size);
  std::string text = rest.substr(0, size);
  rest.erase(0, size);
  return text;
}

std::string Head(int type, std::uint32_t id) {
  return std::string(1, static_cast<char>(type)) + FakeSftpServer::Number(id, 4);
}

}  // namespace

class FakeSftpServer::Connection final : public SftpChannel {
 public:
  Connection(FakeSftpServer& server, Listener& listener) : server_(server), listener_(listener) {
    const MutexLock lock(server_.mutex_);
    server_.live_.push_back(this);
    ++server_.connections;
  }
  ~Connection() override {
    const MutexLock lock(server_.mutex_);
    std::erase(server_.live_, this);
    std::erase_if(server_.held_, [&](const auto& held) { return held.first == this; });
  }

  void Send(Bytes bytes) override {
    if (stopped_) return;
    std::string all;
    {
      const MutexLock lock(server_.mutex_);
      input_.append(AsText(bytes));
      all = AnswersTo(input_);
    }
    if (!all.empty()) listener_.OnBytes(AsBytes(all));
  }
  void Stop() override { stopped_ = true; }

  [[nodiscard]] Listener& listener() { return listener_; }
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  std::string AnswersTo(std::string& input) {
    std::string all;
    while (input.size() >= 4) {
      std::string rest = input;
      const auto length = static_cast<std::size_t>(TakeNumber(rest, 4));
      if (rest.size() < length) break;
      input.erase(0, 4 + length);
      rest.resize(length);
      const int type = static_cast<unsigned char>(rest.front());
      rest.erase(0, 1);
      server_.types.push_back(type);
      if (type == kInit) {
        all += server_.Greeting();
        continue;
      }
      const auto id = static_cast<std::uint32_t>(TakeNumber(rest, 4));
      std::optional<std::string> answer;
      if (server_.before) answer = server_.before(type, id, rest);
      if (!answer.has_value()) answer = server_.Answer(type, id, rest);
      if (answer->empty()) continue;
      if (server_.holds_answers) {
        server_.held_.emplace_back(this, WithLength(*answer));
      } else {
        all += WithLength(*answer);
      }
    }
    return all;
  }

  FakeSftpServer& server_;
  Listener& listener_;
  std::string input_;
  bool stopped_ = false;
};

FakeSftpServer::FakeSftpServer(Offering offering) {
  AddDirectory("/");
  if (offering == Offering::kNothing) return;
  offers = {"posix-rename@openssh.com", "statvfs@openssh.com", "fstatvfs@openssh.com",
            "hardlink@openssh.com",     "fsync@openssh.com",   "lsetstat@openssh.com",
            "limits@openssh.com"};
  revisions = {{"statvfs@openssh.com", "2"}, {"fstatvfs@openssh.com", "2"}};
}

SftpDialer FakeSftpServer::Dialer() {
  return [this](SftpChannel::Listener& listener) -> Result<std::unique_ptr<SftpChannel>> {
    return std::unique_ptr<SftpChannel>(std::make_unique<Connection>(*this, listener));
  };
}

std::size_t FakeSftpServer::Release() {
  std::deque<std::pair<Connection*, std::string>> held;
  {
    const MutexLock lock(mutex_);
    held.swap(held_);
  }
  for (const auto& [connection, packet] : held) connection->listener().OnBytes(AsBytes(packet));
  return held.size();
}

void FakeSftpServer::Say(const std::string& bytes) {
  CHECK(!live_.empty());
  live_.back()->listener().OnBytes(AsBytes(bytes));
}

void FakeSftpServer::HangUp(Error error) {
  std::vector<Connection*> live;
  {
    const MutexLock lock(mutex_);
    live = live_;
    handles_.clear();
    open_handles = 0;
  }
  for (Connection* const connection : live) {
    if (!connection->stopped()) connection->listener().OnEnd(error);
    connection->Stop();
  }
}

std::vector<std::string> FakeSftpServer::FilesUnder(const std::string& path) const {
  std::vector<std::string> files;
  for (const auto& [name, node] : tree) {
    if (node.kind != Node::Kind::kDirectory && name.starts_with(path)) files.push_back(name);
  }
  return files;
}

std::string FakeSftpServer::Number(std::uint64_t value, int width) {
  std::string bytes;
  for (int i = width - 1; i >= 0; --i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  return bytes;
}

std::string FakeSftpServer::Text(const std::string& text) { return Number(text.size(), 4) + text; }

std::string FakeSftpServer::Status(std::uint32_t id, std::uint32_t code, const std::string& words) {
  return Head(101, id) + Number(code, 4) + Text(words) + Text("en");
}

std::string FakeSftpServer::WithLength(const std::string& packet) {
  return Number(packet.size(), 4) + packet;
}

std::string FakeSftpServer::Greeting() {
  if (greeting.has_value()) return *greeting;
  std::string packet = std::string(1, static_cast<char>(kVersion)) + Number(version, 4);
  for (const std::string& name : offers) {
    const auto other = revisions.find(name);
    packet += Text(name) + Text(other == revisions.end() ? "1" : other->second);
  }
  return WithLength(packet);
}

bool FakeSftpServer::HasParent(const std::string& path) const {
  const std::size_t slash = path.rfind('/');
  const auto parent = tree.find(slash == 0 ? "/" : path.substr(0, slash));
  return parent != tree.end() && parent->second.kind == Node::Kind::kDirectory;
}

std::string FakeSftpServer::AttributesOf(const Node& node, bool with_mode) const {
  const std::uint32_t mode = node.kind == Node::Kind::kDirectory ? 0040755
                             : node.kind == Node::Kind::kSymlink ? 0120777
                                                                 : 0100644;
  std::string bytes = Number(with_mode ? 0x0f : 0x0b, 4) + Number(node.text.size(), 8) +
                      Number(1000, 4) + Number(1000, 4);
  if (with_mode) bytes += Number(mode, 4);
  return bytes + Number(node.modified, 4) + Number(node.modified, 4);
}

std::string FakeSftpServer::NewHandle(std::uint32_t id, const std::string& path, bool directory) {
  const std::string name = "h" + std::to_string(next_handle_++);
  handles_[name] = {path, directory, 0};
  ++open_handles;
  return Head(102, id) + Text(name);
}

std::string FakeSftpServer::OpenFile(std::uint32_t id, const std::string& path,
                                     std::uint32_t flags) {
  constexpr std::uint32_t kCreate = 0x08;
  constexpr std::uint32_t kExclusive = 0x20;
  auto found = tree.find(path);
  if ((flags & kCreate) != 0) {
    if (!HasParent(path)) return Status(id, kNoSuchFile, "No such file");
    if (found != tree.end() && (flags & kExclusive) != 0) return Status(id, kFailure, "Failure");
    AddFile(path, "");
    return NewHandle(id, path, false);
  }
  while (found != tree.end() && found->second.kind == Node::Kind::kSymlink) {
    found = tree.find(found->second.text);
  }
  if (found == tree.end()) return Status(id, kNoSuchFile, "No such file");
  if (found->second.kind == Node::Kind::kDirectory && !directories_open) {
    return Status(id, kFailure, "Failure");
  }
  return NewHandle(id, found->first, false);
}

std::string FakeSftpServer::ListNext(std::uint32_t id, Handle& handle) {
  std::vector<std::pair<std::string, Node>> entries = {{".", {Node::Kind::kDirectory}},
                                                       {"..", {Node::Kind::kDirectory}}};
  const std::string prefix = handle.path == "/" ? "/" : handle.path + "/";
  for (const auto& [path, node] : tree) {
    if (!path.starts_with(prefix) || path == "/") continue;
    const std::string name = path.substr(prefix.size());
    if (name.find('/') != std::string::npos) continue;
    for (int i = 0; i < (lists_twice ? 2 : 1); ++i) entries.emplace_back(name, node);
  }
  std::ranges::reverse(entries);  // in no order that anybody could rely on
  if (handle.next >= entries.size()) return Status(id, kEof, "End of file");
  const std::size_t count = std::min(names_most, entries.size() - handle.next);
  std::string packet = Head(104, id) + Number(count, 4);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [name, node] = entries[handle.next++];
    packet += Text(name) + Text("-rw-r--r-- " + name) + AttributesOf(node, lists_with_mode);
  }
  return packet;
}

std::string FakeSftpServer::MakeLink(std::uint32_t id, const std::string& from,
                                     const std::string& to) {
  if (!links_work) return Status(id, kFailure, "Failure");
  if (!tree.contains(from) || !HasParent(to)) return Status(id, kNoSuchFile, "No such file");
  if (tree.contains(to)) return Status(id, kFailure, "Failure");
  tree[to] = tree[from];
  return Status(id, kOk, "Success");
}

std::string FakeSftpServer::AnswerExtended(std::uint32_t id, const std::string& fields) {
  std::string rest = fields;
  const std::string name = TakeText(rest);
  if (!offers.contains(name)) return Status(id, kUnsupported, "Operation unsupported");
  if (name == "limits@openssh.com") {
    return Head(201, id) + Number(262144, 8) + Number(limit_read, 8) + Number(261120, 8) +
           Number(1019, 8);
  }
  if (name == "hardlink@openssh.com") {
    const std::string from = TakeText(rest);
    return MakeLink(id, from, TakeText(rest));
  }
  if (name == "fsync@openssh.com") {
    const auto handle = handles_.find(TakeText(rest));
    if (handle == handles_.end()) return Status(id, kFailure, "Failure");
    synced.push_back(handle->second.path);
    return Status(id, kOk, "Success");
  }
  if (name == "statvfs@openssh.com") {
    std::string packet = Head(201, id) + Number(4096, 8) + Number(1, 8) + Number(1ULL << 40, 8);
    packet += Number(free_bytes, 8) + Number(free_bytes, 8);
    for (int i = 0; i < 6; ++i) packet += Number(0, 8);
    return packet;
  }
  return Status(id, kUnsupported, "Operation unsupported");
}

std::string FakeSftpServer::Answer(int type, std::uint32_t id, const std::string& fields) {
  if (type == kExtended) return AnswerExtended(id, fields);
  std::string rest = fields;
  const std::string first = TakeText(rest);  // a path or a handle
  const auto node = tree.find(first);
  const auto handle = handles_.find(first);
  const auto missing = [&] { return Status(id, kNoSuchFile, "No such file"); };
  switch (type) {
    case kOpen:
      return OpenFile(id, first, static_cast<std::uint32_t>(TakeNumber(rest, 4)));
    case kClose:
      if (handles_.erase(first) == 0) return Status(id, kFailure, "Failure");
      --open_handles;
      return Status(id, kOk, "Success");
    case kRead: {
      CHECK(handle != handles_.end());
      const auto offset = TakeNumber(rest, 8);
      const auto length = std::min<std::uint64_t>(TakeNumber(rest, 4), read_most);
      const std::string& text = tree[handle->second.path].text;
      if (offset >= text.size()) return Status(id, kEof, "End of file");
      return Head(103, id) + Text(text.substr(offset, length));
    }
    case kWrite: {
      CHECK(handle != handles_.end());
      const auto offset = static_cast<std::size_t>(TakeNumber(rest, 8));
      const std::string data = TakeText(rest);
      std::string& text = tree[handle->second.path].text;
      text.resize(std::max(text.size(), offset + data.size()));
      text.replace(offset, data.size(), data);
      return Status(id, kOk, "Success");
    }
    case kFstat:
      CHECK(handle != handles_.end());
      return Head(105, id) + AttributesOf(tree[handle->second.path]);
    case kLstat:
      return node == tree.end() ? missing() : Head(105, id) + AttributesOf(node->second);
    case kStat: {
      auto target = node;
      while (target != tree.end() && target->second.kind == Node::Kind::kSymlink) {
        target = tree.find(target->second.text);
      }
      return target == tree.end() ? missing() : Head(105, id) + AttributesOf(target->second);
    }
    case kOpenDirectory:
      if (node == tree.end()) return missing();
      return NewHandle(id, first, true);
    case kReadDirectory:
      CHECK(handle != handles_.end());
      return ListNext(id, handle->second);
    case kRemove:
      if (node == tree.end()) return missing();
      tree.erase(node);
      return Status(id, kOk, "Success");
    case kMakeDirectory:
      if (!HasParent(first)) return missing();
      if (node != tree.end()) return Status(id, kFailure, "Failure");
      AddDirectory(first);
      return Status(id, kOk, "Success");
    case kRemoveDirectory:
      if (node == tree.end()) return missing();
      tree.erase(node);
      return Status(id, kOk, "Success");
    case kRealPath: {
      std::string path = first == "." ? "/home/me" : first;
      for (auto at = tree.find(path); at != tree.end() && at->second.kind == Node::Kind::kSymlink;
           at = tree.find(path)) {
        path = at->second.text;
      }
      return Head(104, id) + Number(1, 4) + Text(path) + Text(path) + Number(0, 4);
    }
    case kRename: {
      const std::string to = TakeText(rest);
      if (node == tree.end() || !HasParent(to)) return missing();
      if (tree.contains(to)) return Status(id, kFailure, "Failure");
      tree[to] = node->second;
      tree.erase(first);
      return Status(id, kOk, "Success");
    }
    default:
      return Status(id, kUnsupported, "Operation unsupported");
  }
}

}  // namespace coffer::store
