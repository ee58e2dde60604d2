#include "tests/support/fake_http.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/http/header_text.h"

namespace coffer {

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), http::LowerCase);
  return text;
}

std::string Decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const std::string digits(text.substr(i + 1, 2));
      out.push_back(static_cast<char>(std::strtoul(digits.c_str(), nullptr, 16)));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out.append("&lt;");
    } else if (c == '&') {
      out.append("&amp;");
    } else {
      out.push_back(c);
    }
  }
  return out;
}

http::Response MakeResponse(int status, std::string_view body, const std::string& type) {
  http::Response response;
  response.status = status;
  response.body = ToBytes(AsBytes(body));
  response.headers = {{"Content-Type", type}, {"Content-Length", LogText(body.size())}};
  return response;
}

std::string Md5InBase64(ByteView bytes) {
  Bytes digest(16);
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             EVP_md5(), nullptr);
  return ToBase64(digest);
}

http::Response HtmlPage(int status) {
  return MakeResponse(status, "<!DOCTYPE html>\n<html><body>Welcome to the hotel</body></html>",
                      "text/html; charset=utf-8");
}

}  // namespace coffer
