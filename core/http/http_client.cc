#include "core/http/http_client.h"

#include <algorithm>

#include "core/http/header_text.h"

namespace coffer::http {

std::optional<std::string_view> Response::Find(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [name](const Header& header) {
    return EqualIgnoringCase(header.name, name);
  });
  if (found == headers.end()) return std::nullopt;
  return found->value;
}

}  // namespace coffer::http
