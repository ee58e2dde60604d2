// The one mapping from curl's codes to errors.
#pragma once

#include <curl/curl.h>

#include <string>

#include "core/base/error.h"

namespace coffer::http {

/// What is known of an attempt that failed.
struct CurlFailure {
  CURLcode code = CURLE_OK;
  std::string host;         // "host:8443"
  std::string detail;       // curl's own words; may hold what the server sent
  long os_error = 0;        // errno of the connection, or 0
  long verify_result = 0;   // OpenSSL's X509_V_ERR_…, or 0
  long proxy_status = 0;    // what a proxy answered that was to lead to the host, or 0
  bool has_head = false;    // the response's head was whole
  std::string connect_max;  // "10 s"
};

[[nodiscard]] Error ErrorFromCurl(const CurlFailure& failure);

}  // namespace coffer::http
