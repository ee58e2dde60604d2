// Signs requests for azure_signer_sdk.py: a line each of fields between tabs on stdin, all in hex,
// gives a line with the value of the Authorization header.
//   account key method path query body unix-seconds header…
// where `key` is in Base64, `query` is name=value pairs joined by "&", not encoded, and a header is
// "name:value".
#include <cstdlib>
#include <iostream>
#include <vector>

#include "core/base/base64.h"
#include "core/base/line_text.h"
#include "core/store/azure_signer.h"

namespace {

using coffer::AsBytes;
using coffer::store::NameValues;

std::string Unhex(std::string_view hex) {
  coffer::Bytes bytes(hex.size() / 2);
  if (!coffer::FromHex(hex, bytes)) std::abort();
  return std::string(coffer::AsText(bytes));
}

NameValues::value_type PairOf(std::string_view text, char separator) {
  const std::string_view name = coffer::TakeUntil(text, separator);
  return {std::string(name), std::string(text)};
}

std::string Sign(std::string_view line) {
  std::vector<std::string> fields;
  while (!line.empty()) fields.push_back(Unhex(coffer::TakeUntil(line, '\t')));
  auto key = coffer::SecretFromBase64(AsBytes(fields[1]));
  if (!key) std::abort();
  const coffer::store::AzureKeys keys{.account_key = std::move(*key)};
  coffer::store::AzureCall call{.method = fields[2], .origin = "https://h", .path = fields[3]};
  for (std::string_view rest = fields[4]; !rest.empty();) {
    call.query.push_back(PairOf(coffer::TakeUntil(rest, '&'), '='));
  }
  call.body = AsBytes(fields[5]);
  for (std::size_t i = 7; i < fields.size(); ++i) call.headers.push_back(PairOf(fields[i], ':'));
  return SignAzure(call, fields[0], keys, std::stoll(fields[6])).back().second;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << Sign(line) << std::endl;
}
