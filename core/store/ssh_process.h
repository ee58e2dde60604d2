// The system's ssh as the channel of an SFTP session: `ssh -s … sftp`, so that keys, agents,
// known_hosts, ~/.ssh/config and jump hosts are the user's own and work as they do for him.
//
// It asks nobody anything (BatchMode): what would need an answer is an error that names the command
// which gets it. A host whose key is not known is refused whatever the user's configuration says.
// No secret is among its words; of cofferd's environment it sees what ssh and agents need.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/child_stream.h"
#include "core/store/sftp_session.h"

namespace coffer::store {

/// Who logs in where.
struct SshTarget {
  std::string user;  // "": as ssh chooses
  std::string host;  // without brackets
  std::string port;  // "": as ssh chooses

  /// "user@host:port", what of it there is.
  [[nodiscard]] std::string ToString() const;
  /// The words after "ssh" by which a person logs in there: "-p 2222 user@host".
  [[nodiscard]] std::string LoginWords() const;
};

/// What is run, `program` first.
[[nodiscard]] std::vector<std::string> SshWords(const std::string& program,
                                                const SshTarget& target);

/// Why ssh has ended, by what it said on stderr; pure.
[[nodiscard]] Error ExplainSshEnd(const SshTarget& target, const ChildStream::End& end);

/// Starts it. kUnsupported where there is no ssh on this machine.
Result<std::unique_ptr<SftpChannel>> StartSsh(const SshTarget& target,
                                              SftpChannel::Listener& listener);

/// Any program that speaks SFTP on its stdin and stdout, as if it were the ssh to `target`.
Result<std::unique_ptr<SftpChannel>> StartSftpProgram(const std::vector<std::string>& words,
                                                      const SshTarget& target,
                                                      SftpChannel::Listener& listener);

}  // namespace coffer::store
