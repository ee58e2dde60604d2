#include "core/store/s3_settings.h"

#include <algorithm>
#include <array>

#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/store/aws_files.h"

namespace coffer::store {
namespace {

constexpr std::array<std::string_view, 6> kOptions = {
    "addressing_style", "credentials_file", "endpoint", "profile", "region", "storage_class"};

constexpr std::size_t kWordLengthMax = 64;

/// What the options, the environment and the config file say together.
class Resolver {
 public:
  Resolver(FileSystem& fs, const Variables& variables, const std::string& home, const StoreUrl& url)
      : fs_(fs), variables_(variables), home_(home), url_(url), google_(url.scheme == "gs") {}

  Result<S3Settings> Resolve() {
    S3Settings settings;
    settings.bucket = url_.host;
    settings.prefix = url_.path.empty() ? "" : url_.path + "/";
    settings.scope.dialect = google_ ? S3Dialect::kGoogle : S3Dialect::kAws;
    RETURN_IF_ERROR(FindKeys(settings.keys));
    RETURN_IF_ERROR(ReadConfig(settings.keys));
    RETURN_IF_ERROR(FindRegion(settings.scope.region));
    RETURN_IF_ERROR(FindStorageClass(settings.storage_class));
    RETURN_IF_ERROR(FindServer(settings));
    settings.description = url_.ToString();
    settings.identity = Concat(url_.scheme, "://", settings.bucket, "/", url_.path, " at ",
                               settings.origin, settings.base_path);
    return settings;
  }

 private:
  [[nodiscard]] std::string Variable(const std::string& name) const {
    return variables_ ? variables_(name).value_or("") : std::string();
  }

  tl::unexpected<Error> FailOption(std::string_view why, std::string_view hint) const {
    return Fail(ErrorCode::kInvalidArgument, Concat("store ", url_.ToString(), ": ", why),
                std::string(hint));
  }

  Result<std::string> FileOption(const std::string& text) const {
    if (text.starts_with("~/")) return home_ + text.substr(1);
    if (text.starts_with('/')) return text;
    return FailOption("credentials_file is no absolute path", "begin it with / or ~/");
  }

  Status FindKeys(S3KeyPlaces& keys) const {
    const std::string file = url_.Option("credentials_file");
    const std::string profile = url_.Option("profile");
    keys.files_only = !file.empty() || !profile.empty();
    if (google_) {
      keys.access_variable = "GS_ACCESS_KEY_ID";
      keys.secret_variable = "GS_SECRET_ACCESS_KEY";
      keys.token_variable = "GS_SESSION_TOKEN";
      keys.profile = "gs";  // never AWS's default: its key would be shown to Google
    } else if (const std::string chosen = Variable("AWS_PROFILE"); !chosen.empty()) {
      keys.profile = chosen;
    }
    if (!profile.empty()) keys.profile = profile;
    if (!file.empty()) {
      ASSIGN_OR_RETURN(keys.credentials_file, FileOption(file));
      return {};
    }
    const std::string credentials = Variable("AWS_SHARED_CREDENTIALS_FILE");
    keys.credentials_file = credentials.empty() ? home_ + "/.aws/credentials" : credentials;
    const std::string config = Variable("AWS_CONFIG_FILE");
    keys.config_file = config.empty() ? home_ + "/.aws/config" : config;
    return {};
  }

  Status ReadConfig(const S3KeyPlaces& keys) {
    if (keys.config_file.empty()) return {};
    auto read = ReadAwsFile(fs_, keys.config_file, keys.profile);
    if (!read.has_value()) return Fail(read.error());
    if (*read) config_ = std::move((*read)->settings);
    return {};
  }

  [[nodiscard]] std::string Config(const std::string& name) const {
    const auto found = config_.find(name);
    return found == config_.end() ? std::string() : found->second;
  }

  Status FindRegion(std::string& region) const {
    region = url_.Option("region");
    if (region.empty() && google_) region = "auto";
    if (region.empty()) region = Variable("AWS_REGION");
    if (region.empty()) region = Variable("AWS_DEFAULT_REGION");
    if (region.empty()) region = Config("region");
    if (region.empty()) region = "us-east-1";
    const bool sound = region.size() <= kWordLengthMax && std::ranges::all_of(region, [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '-' || c == '_';
                       });
    if (sound) return {};
    return FailOption("its region is no region's name", "regions look like eu-central-1");
  }

  Status FindStorageClass(std::string& storage_class) const {
    storage_class = url_.Option("storage_class");
    const bool sound =
        storage_class.size() <= kWordLengthMax && std::ranges::all_of(storage_class, [](char c) {
          return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        });
    if (!sound) return FailOption("its storage_class is none", "classes look like STANDARD_IA");
    if (storage_class == "GLACIER" || storage_class == "DEEP_ARCHIVE") {
      return FailOption(Concat("objects of storage class ", storage_class,
                               " cannot be read when they are needed"),
                        "STANDARD_IA, INTELLIGENT_TIERING and GLACIER_IR can");
    }
    return {};
  }

  [[nodiscard]] std::string EndpointText() const {
    std::string endpoint = url_.Option("endpoint");
    if (google_) return endpoint;
    if (endpoint.empty()) endpoint = Variable("AWS_ENDPOINT_URL_S3");
    if (endpoint.empty()) endpoint = Variable("AWS_ENDPOINT_URL");
    if (endpoint.empty()) endpoint = Config("endpoint_url");
    return endpoint;
  }

  Status FindServer(S3Settings& settings) const {
    std::string endpoint = EndpointText();
    const bool own = !endpoint.empty();
    const std::string& region = settings.scope.region;
    if (google_ && !own) endpoint = "https://storage.googleapis.com";
    if (!google_ && !own) {
      endpoint =
          Concat("https://s3.", region, ".amazonaws.com", region.starts_with("cn-") ? ".cn" : "");
    }
    std::string scheme;
    std::string host;
    std::string path;
    RETURN_IF_ERROR(SplitEndpoint(endpoint, scheme, host, path));
    ASSIGN_OR_RETURN(const bool in_host, BucketInHost(settings.bucket, own));
    settings.host = in_host ? Concat(settings.bucket, ".", host) : host;
    settings.origin = Concat(scheme, "://", settings.host);
    settings.base_path = in_host ? path : Concat(path, "/", UriEncode(settings.bucket));
    return {};
  }

  /// Names with dots would not match the server's certificate, those with capitals are no hosts.
  Result<bool> BucketInHost(const std::string& bucket, bool own_endpoint) const {
    const bool fits = std::ranges::all_of(bucket, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
    const std::string style = url_.Option("addressing_style");
    if (style == "path") return false;
    if (style.empty() || style == "auto") return fits && !own_endpoint && !google_;
    if (style != "virtual") {
      return FailOption("its addressing_style is neither path nor virtual", "path always works");
    }
    if (fits) return true;
    return FailOption("its bucket's name cannot be part of a host's", "addressing_style=path");
  }

  static bool IsLoopback(std::string_view host) {
    std::string name(host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':')));
    return name == "localhost" || name.ends_with(".localhost") || name == "[::1]" ||
           (name.starts_with("127.") &&
            std::ranges::all_of(name, [](char c) { return (c >= '0' && c <= '9') || c == '.'; }));
  }

  /// "[https://]host[:port][/path]".
  Status SplitEndpoint(std::string_view text, std::string& scheme, std::string& host,
                       std::string& path) const {
    constexpr std::string_view kHint = "write endpoint=https://HOST";
    const std::size_t colon = text.find("://");
    scheme = colon == std::string_view::npos ? "https" : std::string(text.substr(0, colon));
    std::ranges::transform(scheme, scheme.begin(), http::LowerCase);
    if (colon != std::string_view::npos) text.remove_prefix(colon + 3);
    if (scheme != "https" && scheme != "http") {
      return FailOption("its endpoint is neither https:// nor http://", kHint);
    }
    host = std::string(text.substr(0, text.find('/')));
    text.remove_prefix(host.size());
    std::ranges::transform(host, host.begin(), http::LowerCase);
    const std::string_view default_port = scheme == "https" ? ":443" : ":80";
    if (host.ends_with(default_port)) host.resize(host.size() - default_port.size());
    const bool sound = !host.empty() && std::ranges::all_of(host, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
             std::string_view(".-_:[]").find(c) != std::string_view::npos;
    });
    if (!sound) return FailOption("its endpoint names no host", kHint);
    while (text.ends_with('/')) text.remove_suffix(1);
    if (text.find_first_of("?#") != std::string_view::npos) {
      return FailOption("its endpoint has more than a host and a path", kHint);
    }
    path = UriEncodePath(text);
    if (scheme == "https" || IsLoopback(host)) return {};
    return FailOption(
        "its endpoint is http://, over which anybody on the way could read what the "
        "requests tell and change the answers",
        "write https://; http:// works to this machine alone");
  }

  FileSystem& fs_;
  const Variables& variables_;
  const std::string& home_;
  const StoreUrl& url_;
  const bool google_;
  std::map<std::string, std::string> config_;
};

}  // namespace

std::span<const SchemeRules> S3Schemes() {
  static constexpr std::array kSchemes = {
      SchemeRules{"s3", SchemeRules::Host::kBucket, SchemeRules::User::kNone, kOptions,
                  "keys belong into the environment or into ~/.aws/credentials"},
      SchemeRules{"gs", SchemeRules::Host::kBucket, SchemeRules::User::kNone, kOptions,
                  "HMAC keys belong into the environment or into ~/.aws/credentials, as [gs]"},
  };
  return kSchemes;
}

Result<S3Settings> ResolveS3(FileSystem& fs, const Variables& variables, const std::string& home,
                             const StoreUrl& url) {
  return Resolver(fs, variables, home, url).Resolve();
}

}  // namespace coffer::store
