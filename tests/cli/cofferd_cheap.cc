// cofferd whose key derivation costs nothing, for tests of everything around it.
#include "cli/daemon_main.h"
#include "core/crypto/kdf.h"

int main(int argc, char** argv) {
  using namespace coffer;
  return cli::DaemonMain(argc, argv, crypto::KdfPolicy{64, 1, 1},
                         crypto::KdfBounds{64, 256, 1, 2, 1});
}
