// Signs requests for s3_signer_botocore.py: a line each of fields between tabs on stdin, all in
// hex, gives a line with the value of the Authorization header.
//   dialect region access secret token method host path query body unix-seconds header…
// where `query` is name=value pairs joined by "&", not encoded, and a header is "name:value".
#include <iostream>
#include <vector>

#include "core/base/line_text.h"
#include "core/store/s3_signer.h"

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
  coffer::store::S3Keys keys{fields[2], coffer::SecretBytes::CopyOf(AsBytes(fields[3])),
                             coffer::SecretBytes::CopyOf(AsBytes(fields[4]))};
  coffer::store::S3Call call{.method = fields[5], .host = fields[6], .path = fields[7]};
  for (std::string_view rest = fields[8]; !rest.empty();) {
    call.query.push_back(PairOf(coffer::TakeUntil(rest, '&'), '='));
  }
  call.body = AsBytes(fields[9]);
  for (std::size_t i = 11; i < fields.size(); ++i) call.headers.push_back(PairOf(fields[i], ':'));
  const auto dialect =
      fields[0] == "google" ? coffer::store::S3Dialect::kGoogle : coffer::store::S3Dialect::kAws;
  return SignS3(call, keys, {dialect, fields[1]}, std::stoll(fields[10])).back().second;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << Sign(line) << std::endl;
}
