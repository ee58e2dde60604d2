// What fakes of servers behind HttpClient have in common. Nothing of the product's own coding is
// used here, so that the two can't be wrong together.
#pragma once

#include <string>
#include <string_view>

#include "core/http/http_client.h"

namespace coffer {

/// In small letters.
[[nodiscard]] std::string Lower(std::string text);
/// Percent-escapes taken out.
[[nodiscard]] std::string Decoded(std::string_view text);
/// For the text of XML.
[[nodiscard]] std::string Escaped(std::string_view text);
/// In Base64, by OpenSSL.
[[nodiscard]] std::string Md5InBase64(ByteView bytes);
[[nodiscard]] http::Response MakeResponse(int status, std::string_view body,
                                          const std::string& type);
/// What a captive portal answers with.
[[nodiscard]] http::Response HtmlPage(int status);

}  // namespace coffer
