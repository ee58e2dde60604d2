// An SFTP server in memory, written after the draft alone: a tree of files, what of OpenSSH's
// extensions a test lets it offer, and the habits and faults of other servers. It answers within
// Send, on the thread of whoever asks, unless it is told to hold its answers.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/store/sftp_session.h"

namespace coffer::store {

class FakeSftpServer {
 public:
  struct Node {
    enum class Kind { kFile, kDirectory, kSymlink } kind = Kind::kFile;
    std::string text = {};  // content, or where a link points
    std::uint32_t modified = 1'800'000'000;
  };
  enum class Offering { kOpenSsh, kNothing };

  explicit FakeSftpServer(Offering offering = Offering::kOpenSsh);

  /// Connects to it. Each call is a connection; those before stay.
  [[nodiscard]] SftpDialer Dialer();

  // What is there; paths are absolute.
  std::map<std::string, Node> tree;
  std::set<std::string> offers;                  // names of extensions
  std::map<std::string, std::string> revisions;  // of those whose revision is not "1"

  // Habits.
  std::uint32_t version = 3;
  std::uint32_t read_most = 1 << 20;  // bytes in one answer
  std::uint64_t limit_read = 261120;  // as limits@openssh.com tells
  std::size_t names_most = 100;       // in one answer
  bool lists_with_mode = true;        // attributes in listings tell the kind
  bool lists_twice = false;           // every name comes twice
  bool links_work = true;             // or the file system has none
  bool directories_open = true;       // as files, to be synced
  bool holds_answers = false;         // until Release
  std::uint64_t free_bytes = 1 << 30;
  std::uint32_t now = 1'800'000'000;         // the server's clock
  std::optional<std::string> greeting = {};  // instead of its own
  /// Looks at a request (type, fields behind the id) before it is answered: what it returns is the
  /// answer, a whole packet but for length; an empty one: there is none.
  std::function<std::optional<std::string>(int type, std::uint32_t id, const std::string& fields)>
      before = {};

  // What happened.
  int connections = 0;
  std::vector<int> types;           // of all requests, in order
  std::size_t open_handles = 0;     // over all connections
  std::vector<std::string> synced;  // paths, in order

  /// Answers what was held; how many there were.
  std::size_t Release();
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  /// Sends bytes as they are, on the last connection.
  void Say(const std::string& bytes);
  /// Ends all connections.
  void HangUp(Error error = {ErrorCode::kUnavailable, "hung up"});

  void AddDirectory(const std::string& path) { tree[path] = {Node::Kind::kDirectory}; }
  void AddFile(const std::string& path, const std::string& text) {
    tree[path] = {Node::Kind::kFile, text, now};
  }
  void AddLink(const std::string& path, const std::string& to) {
    tree[path] = {Node::Kind::kSymlink, to, now};
  }
  /// Paths of files and links below `path`.
  [[nodiscard]] std::vector<std::string> FilesUnder(const std::string& path) const;

  // Packets of answers, without their length.
  static std::string Number(std::uint64_t value, int width);
  static std::string Text(const std::string& text);
  static std::string Status(std::uint32_t id, std::uint32_t code, const std::string& words = "");
  static std::string WithLength(const std::string& packet);

 private:
  class Connection;
  struct Handle {
    std::string path;
    bool directory = false;
    std::size_t next = 0;  // name to list
  };

  std::string Greeting();
  std::string Answer(int type, std::uint32_t id, const std::string& fields);
  std::string AnswerExtended(std::uint32_t id, const std::string& fields);
  std::string OpenFile(std::uint32_t id, const std::string& path, std::uint32_t flags);
  std::string ListNext(std::uint32_t id, Handle& handle);
  std::string MakeLink(std::uint32_t id, const std::string& from, const std::string& to);
  [[nodiscard]] std::string AttributesOf(const Node& node, bool with_mode = true) const;
  [[nodiscard]] bool HasParent(const std::string& path) const;
  std::string NewHandle(std::uint32_t id, const std::string& path, bool directory);

  Mutex mutex_;
  std::vector<Connection*> live_;
  std::map<std::string, Handle> handles_;
  std::deque<std::pair<Connection*, std::string>> held_;
  int next_handle_ = 0;
};

}  // namespace coffer::store
