// The whole of coffer but its main(), so that tests can link it beside a daemon of their own.
#pragma once

namespace coffer::cli {

/// Returns the exit code.
int CofferMain(int argc, char** argv);

}  // namespace coffer::cli
