// nbd_tls_files DIRECTORY: writes keys and certificates for tests there (tls_files.h lists them).
#include <cstdio>

#include "tests/nbd/tls_files.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  coffer::nbd::testing::WriteTlsFiles(argv[1]);
  return 0;
}
