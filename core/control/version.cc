#include "core/control/version.h"

namespace coffer::control {

std::string Version() { return COFFER_VERSION; }

std::string ServerName() { return "cofferd/" + Version(); }

}  // namespace coffer::control
