// A directory of OpenSSH's SFTP server, put through the conformance suite. The server is a child of
// this process: what ssh would lead to (package openssh-sftp-server).
#include <unistd.h>

#include <cstdlib>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/store/sftp_store.h"
#include "tests/conformance/object_store_conformance.h"
#include "tests/support/scratch_directory.h"

namespace coffer::store {
namespace {

constexpr char kServer[] = "/usr/lib/openssh/sftp-server";

struct SftpStack : StoreStack {
  SftpStack(const StoreUrl& url, const SftpDialer& dial) {
    auto opened =
        SftpStore::Open({}, url, {dial, clock, *waiting, random}, StoreOpenMode::kForInit);
    CHECK(opened.has_value());
    sftp = *std::move(opened);
    CHECK(sftp->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl).has_value());
  }
  ObjectStore& store() override { return *sftp; }

  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<Executor> waiting = NewThreadExecutor("waits", 1);
  std::unique_ptr<ObjectStore> sftp;
};

struct ChildStack : StoreStack {
  ObjectStore& store() override { return sftp.store(); }

  ScratchDirectory directory;
  SftpStack sftp{*ParseStoreUrl(Concat("sftp://here", directory.path(), "/vault"), "/"),
                 [](SftpChannel::Listener& listener) {
                   return StartSftpProgram({kServer}, {"", "here", ""}, listener);
                 }};
};

INSTANTIATE_TEST_SUITE_P(Sftp, ObjectStoreConformance,
                         testing::Values(Kind<ChildStack>("SftpOnOpenSsh")), NameOfKind);

/// Where tests/integration/show-07-sftp.sh has a server: each test in a directory of its own there.
constexpr char kPlace[] = "COFFER_TEST_SFTP";

StoreUrl NextPlace() {
  static int count = 0;
  return *ParseStoreUrl(Concat(std::getenv(kPlace), "/", getpid(), "-", count++), "/");
}

struct SshStack : SftpStack {
  explicit SshStack(const StoreUrl& url = NextPlace())
      : SftpStack(url, [target = SshTargetOf(url)](SftpChannel::Listener& listener) {
          return StartSsh(target, listener);
        }) {}
};

std::vector<StoreKind> OverSsh() {
  if (std::getenv(kPlace) == nullptr) return {};
  return {Kind<SshStack>("SftpOverSsh")};
}

INSTANTIATE_TEST_SUITE_P(Servers, ObjectStoreConformance, testing::ValuesIn(OverSsh()), NameOfKind);

}  // namespace
}  // namespace coffer::store
