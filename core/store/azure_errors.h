// What a refusal by Azure's Blob service means, and what a person can do: from the HTTP status, the
// code in x-ms-error-code or the XML (learn.microsoft.com "Blob service error codes"), and the
// clocks. Pure.
#pragma once

#include <string>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/http/http_client.h"
#include "core/store/azure_settings.h"
#include "core/store/azure_signer.h"

namespace coffer::store {

enum class AzureAction { kRead, kCreate, kList, kDelete };

/// The request that was refused.
struct AzureAsked {
  AzureAction action;
  std::string what;  // for people: "object packs/…"
};

struct AzureFailure {
  Error error = {};
  std::string code;  // the service's own, or ""
  /// The key or SAS is what it does not take: others, if there are any by now, may help.
  bool other_keys_may_help = false;
  bool container_missing = false;
};

/// Whether the answer is a success that came from the service itself: one of a portal, or a proxy,
/// has none of its marks.
[[nodiscard]] bool IsAzuresSuccess(const http::Response& response, AzureAction action);

/// REQUIRES: not IsAzuresSuccess.
[[nodiscard]] AzureFailure ExplainAzure(const http::Response& response, const AzureAsked& asked,
                                        const AzureSettings& settings, const AzureKeys& keys,
                                        UnixSeconds now);

}  // namespace coffer::store
