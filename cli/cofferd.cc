#include "cli/daemon_main.h"

int main(int argc, char** argv) { return coffer::cli::DaemonMain(argc, argv); }
