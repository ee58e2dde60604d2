#include "core/store/azure_settings.h"

#include <algorithm>
#include <array>

#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/http/origin.h"
#include "core/store/s3_signer.h"

namespace coffer::store {
namespace {

constexpr std::array<std::string_view, 3> kOptions = {"credentials_file", "endpoint", "tier"};

bool IsSmallLetterOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

class Resolver {
 public:
  Resolver(const std::string& home, const StoreUrl& url) : home_(home), url_(url) {}

  Result<AzureSettings> Resolve() const {
    AzureSettings settings;
    settings.account = url_.host;
    RETURN_IF_ERROR(CheckAccount());
    RETURN_IF_ERROR(FindContainer(settings));
    RETURN_IF_ERROR(FindServer(settings));
    RETURN_IF_ERROR(FindTier(settings.tier));
    RETURN_IF_ERROR(FindKeys(settings.keys));
    settings.description = url_.ToString();
    settings.identity =
        Concat("az://", url_.host, "/", url_.path, " at ", settings.origin, settings.base_path);
    return settings;
  }

 private:
  tl::unexpected<Error> FailOption(std::string_view why, std::string_view hint) const {
    return Fail(ErrorCode::kInvalidArgument, Concat("store ", url_.ToString(), ": ", why),
                std::string(hint));
  }

  Status CheckAccount() const {
    const std::string& account = url_.host;
    const bool sound = account.size() >= 3 && account.size() <= 24 &&
                       std::ranges::all_of(account, IsSmallLetterOrDigit);
    if (sound) return {};
    return FailOption("what follows az:// is no storage account's name",
                      "write az://ACCOUNT/CONTAINER/PREFIX: an account has 3 to 24 letters and "
                      "digits; a server of your own goes into ?endpoint=https://HOST");
  }

  Status FindContainer(AzureSettings& settings) const {
    const std::size_t slash = url_.path.find('/');
    settings.container = url_.path.substr(0, slash);
    if (slash != std::string::npos) settings.prefix = url_.path.substr(slash + 1) + "/";
    const std::string& name = settings.container;
    const bool sound =
        name.size() >= 3 && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
        name.find("--") == std::string::npos &&
        std::ranges::all_of(name, [](char c) { return IsSmallLetterOrDigit(c) || c == '-'; });
    if (sound) return {};
    return FailOption(name.empty() ? "it names no container" : "it names no sound container",
                      "write az://ACCOUNT/CONTAINER/PREFIX: a container's name has 3 to 63 small "
                      "letters, digits and single '-'");
  }

  /// "[https://]host[:port][/path]". Emulators and private clouds have the account in the path.
  Status FindServer(AzureSettings& settings) const {
    std::string text = url_.Option("endpoint");
    const bool own = !text.empty();
    if (!own) text = Concat(settings.account, ".blob.core.windows.net");
    if (text.find("://") == std::string::npos) text = "https://" + text;
    constexpr std::string_view kHint = "write endpoint=https://HOST, as the account's Blob service";
    const auto origin = http::ParseOrigin(text);
    if (!origin.has_value() || text.find_first_of("?#") != std::string::npos) {
      return FailOption("its endpoint is no server's address", kHint);
    }
    if (origin->scheme != "https" && !origin->IsLoopback()) {
      return FailOption(
          "its endpoint is http://, over which anybody on the way could read what the requests "
          "tell and change the answers",
          "write https://; http:// works to this machine alone");
    }
    const std::size_t slash = text.find('/', text.find("://") + 3);
    std::string path = slash == std::string::npos ? "" : text.substr(slash);
    while (path.ends_with('/')) path.pop_back();
    if (own && path.empty() && IsAddress(origin->host)) path = "/" + settings.account;
    settings.origin = origin->ToString();
    settings.base_path = Concat(UriEncodePath(path), "/", settings.container);
    return {};
  }

  /// No account can stand in such a host's name, and so it stands in the path.
  static bool IsAddress(std::string_view host) {
    return host == "localhost" || host.starts_with('[') ||
           std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  }

  Status FindTier(std::string& tier) const {
    std::string text = url_.Option("tier");
    std::ranges::transform(text, text.begin(), http::LowerCase);
    if (text == "archive") {
      return FailOption("blobs of the tier archive cannot be read when they are needed",
                        "hot, cool and cold can");
    }
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kTiers = {
        {{"", ""}, {"hot", "Hot"}, {"cool", "Cool"}, {"cold", "Cold"}}};
    for (const auto& [name, header] : kTiers) {
      if (name == text) {
        tier = header;
        return {};
      }
    }
    return FailOption("its tier is none", "there are: hot, cool, cold");
  }

  Status FindKeys(AzureKeyPlaces& keys) const {
    keys.account = url_.host;
    const std::string file = url_.Option("credentials_file");
    if (file.empty() || file.starts_with('/')) {
      keys.file = file;
      return {};
    }
    if (file.starts_with("~/")) {
      keys.file = home_ + file.substr(1);
      return {};
    }
    return FailOption("credentials_file is no absolute path", "begin it with / or ~/");
  }

  const std::string& home_;
  const StoreUrl& url_;
};

}  // namespace

std::span<const SchemeRules> AzureSchemes() {
  static constexpr std::array kSchemes = {
      SchemeRules{"az", SchemeRules::Host::kServer, SchemeRules::User::kNone, kOptions,
                  "a key or SAS token belongs into a file that ?credentials_file=/PATH names, or "
                  "into the environment as AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN"},
  };
  return kSchemes;
}

Result<AzureSettings> ResolveAzure(const std::string& home, const StoreUrl& url) {
  return Resolver(home, url).Resolve();
}

}  // namespace coffer::store
