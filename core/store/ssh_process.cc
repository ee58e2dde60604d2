#include "core/store/ssh_process.h"

#include <array>
#include <cstdlib>
#include <utility>

#include "core/base/log.h"

namespace coffer::store {
namespace {

/// Without a request for so long the connection is let go; the next one begins another.
constexpr std::chrono::minutes kIdleMax{10};
/// Of what ssh said, as much goes into an error: its last lines.
constexpr std::size_t kSaidInErrorMax = 400;

/// What ssh, the agents and the proxy commands of a user's configuration go by.
constexpr std::array<const char*, 14> kEnvironment = {"PATH",
                                                      "HOME",
                                                      "USER",
                                                      "LOGNAME",
                                                      "SHELL",
                                                      "TMPDIR",
                                                      "TZ",
                                                      "LANG",
                                                      "SSH_AUTH_SOCK",
                                                      "SSH_SK_PROVIDER",
                                                      "XDG_RUNTIME_DIR",
                                                      "KRB5CCNAME",
                                                      "KRB5_CONFIG",
                                                      "DBUS_SESSION_BUS_ADDRESS"};

std::vector<std::string> EnvironmentForSsh() {
  std::vector<std::string> environment;
  for (const char* const name : kEnvironment) {
    if (const char* const value = std::getenv(name))
      environment.push_back(Concat(name, "=", value));
  }
  return environment;
}

std::vector<std::string> DirectoriesOfPath() {
  std::vector<std::string> directories;
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    // A relative one means whatever the working directory is.
    if (directory.starts_with('/')) directories.emplace_back(directory);
  }
  for (std::string& directory : SystemProgramDirectories()) {
    directories.push_back(std::move(directory));
  }
  return directories;
}

/// The last lines of what was said, on one, harmless to a terminal.
std::string LastWords(std::string_view said) {
  while (said.ends_with('\n') || said.ends_with('\r')) said.remove_suffix(1);
  if (said.size() > kSaidInErrorMax) {
    said.remove_prefix(said.size() - kSaidInErrorMax);
    said.remove_prefix(
        std::min(said.size(), said.find('\n') + 1));  // a whole line, if there is one
  }
  return EscapeForTerminal(InOneLine(said));
}

/// What ssh says, and what it means. The first that is found counts.
struct Saying {
  std::string_view text;
  ErrorCode code;
  std::string_view what;
  enum class Advice { kNone, kKnowHost, kForgetHost, kLogIn, kNetwork, kSubsystem } advice;
};

constexpr std::array<Saying, 14> kSayings = {{
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", ErrorCode::kUnauthenticated,
     "its host key is not the one that is known", Saying::Advice::kForgetHost},
    {"has changed and you have requested strict checking", ErrorCode::kUnauthenticated,
     "its host key is not the one that is known", Saying::Advice::kForgetHost},
    {"host key is known for", ErrorCode::kUnauthenticated, "its host key is not known yet",
     Saying::Advice::kKnowHost},
    {"Host key verification failed", ErrorCode::kUnauthenticated, "its host key cannot be verified",
     Saying::Advice::kKnowHost},
    {"Permission denied (", ErrorCode::kUnauthenticated, "it does not let this user in",
     Saying::Advice::kLogIn},
    {"Too many authentication failures", ErrorCode::kUnauthenticated,
     "it does not let this user in", Saying::Advice::kLogIn},
    {"Could not resolve hostname", ErrorCode::kUnavailable, "no such host is found",
     Saying::Advice::kNetwork},
    {"Connection refused", ErrorCode::kUnavailable, "nothing answers SSH at that port",
     Saying::Advice::kNetwork},
    {"No route to host", ErrorCode::kUnavailable, "it is not reachable", Saying::Advice::kNetwork},
    {"Network is unreachable", ErrorCode::kUnavailable, "it is not reachable",
     Saying::Advice::kNetwork},
    {"timed out", ErrorCode::kUnavailable, "it does not answer", Saying::Advice::kNetwork},
    {"subsystem request failed", ErrorCode::kUnsupported, "the server offers no SFTP",
     Saying::Advice::kSubsystem},
    {"Timeout, server", ErrorCode::kUnavailable, "it does not answer any more",
     Saying::Advice::kNone},
    {"not responding", ErrorCode::kUnavailable, "it does not answer any more",
     Saying::Advice::kNone},
}};

std::string KnownHostsName(const SshTarget& target) {
  if (target.port.empty() || target.port == "22") return target.host;
  return Concat("'[", target.host, "]:", target.port, "'");
}

std::string AdviceFor(Saying::Advice advice, const SshTarget& target) {
  const std::string log_in = Concat("ssh ", target.LoginWords());
  switch (advice) {
    case Saying::Advice::kKnowHost:
      return Concat("run `", log_in,
                    "` once as the user that cofferd runs as, compare the fingerprint that it "
                    "shows with the server's own, and answer yes");
    case Saying::Advice::kForgetHost:
      return Concat(
          "somebody may be listening in between; only if you know why the key is "
          "another: `ssh-keygen -R ",
          KnownHostsName(target), "`, then `", log_in, "` and compare the fingerprint");
    case Saying::Advice::kLogIn:
      return Concat("see that `ssh -oBatchMode=yes ", target.LoginWords(),
                    "` logs in without asking: a key without a passphrase, or one that the agent "
                    "holds which cofferd sees (SSH_AUTH_SOCK)");
    case Saying::Advice::kNetwork:
      return "see whether name, port and network are right";
    case Saying::Advice::kSubsystem:
      return "have `Subsystem sftp internal-sftp` put into the server's sshd_config";
    case Saying::Advice::kNone:
      break;
  }
  return "";
}

/// ChildStream as a channel, its end explained.
class SshProcess final : public SftpChannel, private ChildStream::Listener {
 public:
  SshProcess(SshTarget target, SftpChannel::Listener& listener)
      : target_(std::move(target)), listener_(listener) {}

  Status Start(const std::vector<std::string>& words) {
    ChildStream::Options options;
    options.thread_name = "sftp";
    options.environment = EnvironmentForSsh();
    options.idle_max = kIdleMax;
    ASSIGN_OR_RETURN(stream_, ChildStream::Start(words, options, *this));
    return {};
  }

  void Send(Bytes bytes) override { stream_->Send(std::move(bytes)); }
  void Stop() override { stream_->Stop(); }

 private:
  void OnBytes(ByteView bytes) override { listener_.OnBytes(bytes); }
  void OnEnd(const ChildStream::End& end) override { listener_.OnEnd(ExplainSshEnd(target_, end)); }

  const SshTarget target_;
  SftpChannel::Listener& listener_;
  std::unique_ptr<ChildStream> stream_;
};

}  // namespace

std::string SshTarget::ToString() const {
  std::string text = user.empty() ? host : Concat(user, "@", host);
  if (!port.empty()) text.append(":").append(port);
  return text;
}

std::string SshTarget::LoginWords() const {
  std::string words = port.empty() ? "" : Concat("-p ", port, " ");
  return words + (user.empty() ? host : Concat(user, "@", host));
}

std::vector<std::string> SshWords(const std::string& program, const SshTarget& target) {
  // What is given here comes before the user's configuration.
  std::vector<std::string> words = {program,
                                    "-oBatchMode=yes",
                                    "-oStrictHostKeyChecking=yes",
                                    "-oConnectTimeout=20",
                                    "-oServerAliveInterval=15",
                                    "-oServerAliveCountMax=2",
                                    "-oLogLevel=ERROR",
                                    "-oControlMaster=no",
                                    "-oClearAllForwardings=yes",
                                    "-oForwardAgent=no",
                                    "-oForwardX11=no",
                                    "-oPermitLocalCommand=no",
                                    "-oRemoteCommand=none",
                                    "-oRequestTTY=no"};
  if (!target.port.empty()) words.insert(words.end(), {"-p", target.port});
  if (!target.user.empty()) words.insert(words.end(), {"-l", target.user});
  words.insert(words.end(), {"-s", "--", target.host, "sftp"});
  return words;
}

Error ExplainSshEnd(const SshTarget& target, const ChildStream::End& end) {
  const std::string said = LastWords(end.said);
  const std::string server = Concat("SFTP server ", target.ToString());
  for (const Saying& saying : kSayings) {
    if (end.said.find(saying.text) == std::string::npos) continue;
    Error error{saying.code, Concat(server, ": ", saying.what, " (ssh: ", said, ")"),
                AdviceFor(saying.advice, target)};
    if (saying.code == ErrorCode::kUnauthenticated) error.cause = ErrorCause::kCredentials;
    return error;
  }
  return Error{ErrorCode::kUnavailable,
               said.empty() ? Concat(server, ": the connection has ended")
                            : Concat(server, ": the connection has ended (ssh: ", said, ")"),
               ""};
}

Result<std::unique_ptr<SftpChannel>> StartSsh(const SshTarget& target,
                                              SftpChannel::Listener& listener) {
  const std::string program = FindProgram("ssh", DirectoriesOfPath());
  if (program.empty()) {
    return Fail(ErrorCode::kUnsupported, "there is no program `ssh` on this machine",
                "apt install openssh-client");
  }
  return StartSftpProgram(SshWords(program, target), target, listener);
}

Result<std::unique_ptr<SftpChannel>> StartSftpProgram(const std::vector<std::string>& words,
                                                      const SshTarget& target,
                                                      SftpChannel::Listener& listener) {
  auto process = std::make_unique<SshProcess>(target, listener);
  RETURN_IF_ERROR(process->Start(words));
  return std::unique_ptr<SftpChannel>(std::move(process));
}

}  // namespace coffer::store
