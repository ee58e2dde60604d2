// Serves a MemoryDevice over NBD until standard input ends: a server without a volume behind it,
// for trying clients and measuring the server itself.
//
//   nbd_memory_server unix:PATH|tcp:127.0.0.1:PORT SIZE_MIB [jobs-only] [read-only]
//
// prints the URI on a line of its own once clients can connect. With jobs-only nothing is done in
// place: every request goes through the workers, as on a cold volume.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "nbd/server.h"
#include "tests/support/memory_device.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s ADDRESS SIZE_MIB [jobs-only] [read-only]\n", argv[0]);
    return 2;
  }
  coffer::testing::MemoryDevice device(std::strtoull(argv[2], nullptr, 10) << 20,
                                       coffer::testing::MemoryDevice::Crashes::kForgets);
  for (int i = 3; i < argc; ++i) {
    if (argv[i] == std::string_view("jobs-only")) device.set_in_place(false);
    if (argv[i] == std::string_view("read-only")) device.set_read_only(true);
  }
  const coffer::SystemClock clock;
  const auto fs = coffer::NewPosixFileSystem();
  const auto workers = coffer::NewThreadExecutor("nbd-work", 4);
  auto server = coffer::nbd::Server::Open({}, *workers, clock, *fs);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().message.c_str());
    return 1;
  }
  const auto place = (*server)->Export({"memory", "a device in memory", &device, argv[1], false});
  if (!place) {
    std::fprintf(stderr, "%s\n", place.error().message.c_str());
    return 1;
  }
  std::printf("%s\n", place->uri.c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
