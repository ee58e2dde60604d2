// <volume>.status.json: what the exporter itself knows of an image.
#pragma once

#include <string>

#include "fuse/image.h"

namespace coffer::fuse {

/// One JSON object and a newline; "{}" for an image that has been withdrawn.
[[nodiscard]] std::string StatusText(Image& image);

}  // namespace coffer::fuse
