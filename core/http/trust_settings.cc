#include "core/http/trust_settings.h"

#include <curl/curl.h>

#include <cstdlib>

namespace coffer::http {
namespace {

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

TrustSettings TrustFrom(const std::string& ca_file) {
  if (!ca_file.empty()) return {ca_file, {}};
  const curl_version_info_data* const built = curl_version_info(CURLVERSION_NOW);
  const std::string system_file = built->cainfo == nullptr ? "" : built->cainfo;
  const std::string system_directory = built->capath == nullptr ? "" : built->capath;
  // The program curl reads these, the library does not; what is not set stays the system's.
  const std::string bundle = Variable("CURL_CA_BUNDLE");
  if (!bundle.empty()) return {bundle, system_directory};
  const std::string file = Variable("SSL_CERT_FILE");
  const std::string directory = Variable("SSL_CERT_DIR");
  if (!file.empty() || !directory.empty()) {
    return {file.empty() ? system_file : file, directory.empty() ? system_directory : directory};
  }
  // The system's directory has the certificates of its file once more. With a directory curl would
  // read and parse them all again for each connection; a file's are kept.
  if (!system_file.empty()) return {system_file, {}};
  return {{}, system_directory};
}

}  // namespace coffer::http
