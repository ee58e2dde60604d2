#include "core/store/azure_credentials.h"

#include <algorithm>

#include "core/base/base64.h"
#include "core/base/line_text.h"
#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/store/secret_file.h"

namespace coffer::store {
namespace {

tl::unexpected<Error> FailKeys(std::string message, std::string hint) {
  Error error{
      .code = ErrorCode::kUnauthenticated, .message = std::move(message), .hint = std::move(hint)};
  error.cause = ErrorCause::kCredentials;
  return Fail(std::move(error));
}

/// What may stand in a URL's query without being encoded.
bool IsQueryCharacter(char c) { return c > ' ' && c < '\x7f' && c != '#' && c != '"' && c != '?'; }

/// The value of a field of a SAS; "" if it has none.
std::string_view Field(std::string_view sas, std::string_view wanted) {
  while (!sas.empty()) {
    std::string_view field = TakeUntil(sas, '&');
    if (TakeUntil(field, '=') == wanted) return field;
  }
  return {};
}

}  // namespace

Result<AzureKeys> ParseAzureKeys(ByteView bytes) {
  std::string_view text = http::Trimmed(AsText(bytes));
  if (text.starts_with("https://") || text.starts_with("http://")) {
    return Fail(ErrorCode::kInvalidArgument, "it is a whole URL",
                "write only what stands behind its '?'");
  }
  if (text.starts_with('?')) text.remove_prefix(1);
  if (!Field(text, "sig").empty()) {
    if (Field(text, "sv").empty() || !std::ranges::all_of(text, IsQueryCharacter)) {
      return Fail(ErrorCode::kInvalidArgument, "it is no whole SAS token",
                  "a SAS token has the form sv=…&sig=…");
    }
    return AzureKeys{.sas = SecretBytes::CopyOf(AsBytes(text))};
  }
  auto key = SecretFromBase64(AsBytes(text));
  if (key && !key->empty()) return AzureKeys{.account_key = std::move(*key)};
  return Fail(ErrorCode::kInvalidArgument, "it is neither an account's key nor a SAS token",
              "a key ends with \"==\", a SAS token has the form sv=…&sig=…; both are shown whole "
              "by the provider");
}

std::string ExpiryOf(const AzureKeys& keys) {
  std::string expiry;
  std::string_view text = Field(AsText(keys.sas.view()), "se");
  while (!text.empty()) {
    expiry.append(expiry.empty() ? "" : ":").append(text.substr(0, text.find('%')));
    text.remove_prefix(std::min(text.size(), text.find('%')));
    text.remove_prefix(std::min<std::size_t>(text.size(), 3));  // "%3A", a colon
  }
  return EscapeForTerminal(expiry.substr(0, 40));
}

AzureCredentials::AzureCredentials(FileSystem& fs, Variables variables, AzureKeyPlaces places)
    : fs_(fs), variables_(std::move(variables)), places_(std::move(places)) {}

Result<std::shared_ptr<const AzureKeys>> AzureCredentials::Get() {
  {
    const MutexLock lock(mutex_);
    if (keys_ != nullptr) return keys_;
  }
  ASSIGN_OR_RETURN(AzureKeys found, Find());
  const MutexLock lock(mutex_);
  keys_ = std::make_shared<const AzureKeys>(std::move(found));
  return keys_;
}

void AzureCredentials::Reload() {
  const MutexLock lock(mutex_);
  keys_ = nullptr;
}

std::string AzureCredentials::Variable(const std::string& name) const {
  return variables_ ? variables_(name).value_or("") : std::string();
}

Result<AzureKeys> AzureCredentials::Find() const {
  if (places_.file.empty()) return FromEnvironment();
  ASSIGN_OR_RETURN(const SecretBytes text, ReadSecretFile(fs_, places_.file));
  auto keys = ParseAzureKeys(text.view());
  if (keys.has_value()) return keys;
  return FailKeys(
      Concat("credentials file ", EscapeForTerminal(places_.file), ": ", keys.error().message),
      keys.error().hint);
}

Result<AzureKeys> AzureCredentials::FromEnvironment() const {
  const std::string owner = Variable("AZURE_STORAGE_ACCOUNT");
  const bool is_anothers = !owner.empty() && owner != places_.account;
  for (const char* name : {"AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"}) {
    std::string text = is_anothers ? std::string() : Variable(name);
    if (text.empty()) continue;
    auto keys = ParseAzureKeys(AsBytes(text));
    Wipe(std::as_writable_bytes(std::span(text)));
    if (keys.has_value()) return keys;
    return FailKeys(Concat(name, " in the environment: ", keys.error().message), keys.error().hint);
  }
  return FailKeys(is_anothers ? Concat("the keys in the environment belong to account ",
                                       EscapeForTerminal(owner),
                                       " (AZURE_STORAGE_ACCOUNT), not to ", places_.account)
                              : Concat("no key of account ", places_.account,
                                       " was found; looked in the environment (AZURE_STORAGE_KEY, "
                                       "AZURE_STORAGE_SAS_TOKEN)"),
                  "write the key or a SAS token into a file of yours, mode 0600, and name it by "
                  "?credentials_file=/PATH in the store's URL");
}

}  // namespace coffer::store
