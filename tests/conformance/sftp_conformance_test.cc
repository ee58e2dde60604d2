// A directory of OpenSSH's SFTP server, put through the conformance suite. The server is a child of
// this process: what ssh would lead to (package openssh-sftp-server).
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
  SftpStack() {
    const auto dial = [](SftpChannel::Listener& listener) {
      return StartSftpProgram({kServer}, {"", "here", ""}, listener);
    };
    const StoreUrl url = *ParseStoreUrl(Concat("sftp://here", directory.path(), "/vault"), "/");
    auto opened =
        SftpStore::Open({}, url, {dial, clock, *waiting, random}, StoreOpenMode::kForInit);
    CHECK(opened.has_value());
    sftp = *std::move(opened);
    CHECK(sftp->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl).has_value());
  }
  ObjectStore& store() override { return *sftp; }

  ScratchDirectory directory;
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<Executor> waiting = NewThreadExecutor("waits", 1);
  std::unique_ptr<ObjectStore> sftp;
};

INSTANTIATE_TEST_SUITE_P(Sftp, ObjectStoreConformance,
                         testing::Values(Kind<SftpStack>("SftpOnOpenSsh")), NameOfKind);

}  // namespace
}  // namespace coffer::store
