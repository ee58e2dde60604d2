#include "core/store/s3_credentials.h"

#include "core/base/log.h"
#include "core/store/aws_files.h"

namespace coffer::store {
namespace {

using SharedKeys = std::shared_ptr<const S3Keys>;

tl::unexpected<Error> FailKeys(std::string message, std::string hint) {
  Error error{
      .code = ErrorCode::kUnauthenticated, .message = std::move(message), .hint = std::move(hint)};
  error.cause = ErrorCause::kCredentials;
  return Fail(std::move(error));
}

class FoundKeys final : public S3CredentialsSource {
 public:
  FoundKeys(FileSystem& fs, Variables variables, S3KeyPlaces places)
      : fs_(fs), variables_(std::move(variables)), places_(std::move(places)) {}

  Result<SharedKeys> Get() override {
    {
      const MutexLock lock(mutex_);
      if (keys_ != nullptr) return keys_;
    }
    ASSIGN_OR_RETURN(SharedKeys found, Find());
    const MutexLock lock(mutex_);
    keys_ = std::move(found);
    return keys_;
  }

  /// Whoever asks next finds out what there is now.
  void Reload() override {
    const MutexLock lock(mutex_);
    keys_ = nullptr;
  }

 private:
  Result<SharedKeys> Find() const {
    if (!places_.files_only) {
      ASSIGN_OR_RETURN(SharedKeys keys, FromEnvironment());
      if (keys != nullptr) return keys;
    }
    for (const std::string& path : {places_.credentials_file, places_.config_file}) {
      if (path.empty()) continue;
      ASSIGN_OR_RETURN(SharedKeys keys, FromFile(path));
      if (keys != nullptr) return keys;
    }
    std::string looked = places_.files_only
                             ? std::string()
                             : Concat("the environment (", places_.access_variable, "), ");
    looked.append(Concat("profile ", places_.profile, " of ", places_.credentials_file));
    if (!places_.config_file.empty()) looked.append(Concat(" and ", places_.config_file));
    return FailKeys(Concat("no keys for the store were found; looked in ", looked),
                    Concat("write them into ", places_.credentials_file, ", mode 0600: [",
                           places_.profile, "], aws_access_key_id = …, aws_secret_access_key = …"));
  }

  [[nodiscard]] std::string Variable(const std::string& name) const {
    return variables_ ? variables_(name).value_or("") : std::string();
  }

  /// Null where there are none.
  Result<SharedKeys> FromEnvironment() const {
    const std::string access_key = Variable(places_.access_variable);
    if (access_key.empty()) return SharedKeys();
    std::string secret = Variable(places_.secret_variable);
    if (secret.empty()) {
      return FailKeys(
          Concat(places_.access_variable, " is set and ", places_.secret_variable, " is not"),
          "set both where cofferd starts, or neither");
    }
    auto keys = std::make_shared<S3Keys>();
    keys->access_key = access_key;
    keys->secret_key = SecretBytes::CopyOf(AsBytes(secret));
    Wipe(std::as_writable_bytes(std::span(secret)));
    std::string token = Variable(places_.token_variable);
    keys->session_token = SecretBytes::CopyOf(AsBytes(token));
    Wipe(std::as_writable_bytes(std::span(token)));
    return SharedKeys(std::move(keys));
  }

  Result<SharedKeys> FromFile(const std::string& path) const {
    auto read = ReadAwsFile(fs_, path, places_.profile);
    if (!read.has_value()) {
      return FailKeys(Concat("keys of the store: ", read.error().message), read.error().hint);
    }
    if (!*read) return SharedKeys();
    AwsProfile& profile = **read;
    if (profile.access_key.empty() != profile.secret_key.empty()) {
      return FailKeys(Concat("profile ", places_.profile, " of ", path,
                             " has one of "
                             "aws_access_key_id and aws_secret_access_key without the other"),
                      "write both there");
    }
    if (profile.access_key.empty()) {
      for (const char* other : {"role_arn", "sso_start_url", "sso_session", "credential_process"}) {
        if (!profile.settings.contains(other)) continue;
        return FailKeys(Concat("profile ", places_.profile, " of ", path, " gets its keys by ",
                               other, ", which only the AWS tools can do"),
                        "have the AWS tools write temporary keys into the credentials file: "
                        "aws configure export-credentials");
      }
      return SharedKeys();
    }
    auto keys = std::make_shared<S3Keys>();
    keys->access_key = std::move(profile.access_key);
    keys->secret_key = std::move(profile.secret_key);
    keys->session_token = std::move(profile.session_token);
    return SharedKeys(std::move(keys));
  }

  FileSystem& fs_;
  const Variables variables_;
  const S3KeyPlaces places_;
  Mutex mutex_;
  SharedKeys keys_ GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<S3CredentialsSource> NewS3Credentials(FileSystem& fs, Variables variables,
                                                      S3KeyPlaces places) {
  return std::make_unique<FoundKeys>(fs, std::move(variables), std::move(places));
}

}  // namespace coffer::store
