#include "core/store/s3_store.h"

#include <algorithm>
#include <utility>

#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/store/bucket_answers.h"

namespace coffer::store {
namespace {

constexpr std::size_t kDeleteBatchMax = 1000;
/// Pages of a List that hold nothing but others' objects: 64,000 of those.
constexpr int kListRoundsMax = 64;
constexpr std::uint64_t kListAnswerMax = 4 << 20;
constexpr std::string_view kObjectType = "application/octet-stream";

constexpr std::string_view kGetAction = "s3:GetObject";
constexpr std::string_view kPutAction = "s3:PutObject";
constexpr std::string_view kListAction = "s3:ListBucket";
constexpr std::string_view kDeleteAction = "s3:DeleteObject";

S3Asked AskedOf(std::string_view action, const std::string& name) {
  return {.action = action, .what = Concat("object ", name)};
}

}  // namespace

S3Store::S3Store(S3Settings settings, std::unique_ptr<S3CredentialsSource> credentials,
                 http::HttpClient& http, Clock& clock)
    : settings_(std::move(settings)),
      credentials_(std::move(credentials)),
      http_(http),
      clock_(clock) {}

StoreCapabilities S3Store::capabilities() const {
  StoreCapabilities can;
  if (condition_ == Condition::kMissing) can.strength = StoreStrength::kWeak;
  return can;
}

S3Call S3Store::CallOf(std::string_view method, const std::string& name) const {
  return {.method = std::string(method),
          .host = settings_.host,
          .path = Concat(settings_.base_path, "/", UriEncodePath(settings_.prefix + name))};
}

S3Call S3Store::CallOfBucket(std::string_view method) const {
  return {.method = std::string(method),
          .host = settings_.host,
          .path = settings_.base_path.empty() ? "/" : settings_.base_path};
}

Result<http::Response> S3Store::Send(const RequestContext& context, const S3Call& call,
                                     const S3Keys& keys, std::uint64_t body_bytes_max) {
  http::Request request;
  request.method = call.method;
  request.url = settings_.origin + call.path;
  if (!call.query.empty()) request.url.append("?").append(CanonicalQuery(call.query));
  for (auto& [name, value] : SignS3(call, keys, settings_.scope, clock_.WallNow())) {
    request.headers.push_back({std::move(name), std::move(value)});
  }
  request.body = call.body;
  request.body_bytes_max = body_bytes_max;
  return http_.Perform(context, request);
}

std::shared_ptr<const S3Keys> S3Store::OtherKeys(const S3Keys& used) {
  credentials_->Reload();
  auto keys = credentials_->Get();
  if (!keys.has_value() || (*keys)->SameAs(used)) return nullptr;
  LOG(kInfo, "store ", settings_.description, ": other keys were found and are used from now on");
  return *keys;
}

/// A 404 and a 412 mean what they say only where the request is one that can be answered so.
Error S3Store::Judge(const S3Failure& failure, const S3Asked& asked) const {
  Error error = failure.error;
  if (failure.bucket_missing) {
    if (bucket_seen_) error.code = ErrorCode::kUnavailable;
    return error;
  }
  const bool names_object = asked.action == kGetAction || asked.action == kDeleteAction;
  if (error.code == ErrorCode::kNotFound && !names_object) error.code = ErrorCode::kUnavailable;
  if (error.code == ErrorCode::kAlreadyExists && asked.action != kPutAction) {
    error.code = ErrorCode::kUnavailable;
  }
  return error;
}

Result<http::Response> S3Store::Ask(const RequestContext& context, const S3Call& call,
                                    const S3Asked& asked, std::uint64_t body_bytes_max) {
  ASSIGN_OR_RETURN(std::shared_ptr<const S3Keys> keys, credentials_->Get());
  for (bool again = false;; again = true) {
    auto response = Send(context, call, *keys, body_bytes_max);
    if (!response.has_value()) return Fail(response.error().Within(asked.what));
    const bool success = response->status >= 200 && response->status < 300;
    if (success && !IsDisguisedFailure(*response)) {
      bucket_seen_ = true;
      return response;
    }
    if (response->status == 416 && asked.action == kGetAction) {
      bucket_seen_ = true;
      return response;
    }
    const S3Failure failure = ExplainS3(*response, asked, settings_, clock_.WallNow());
    std::shared_ptr<const S3Keys> others;
    if (failure.other_keys_may_help && !again) others = OtherKeys(*keys);
    if (others == nullptr) return Fail(Judge(failure, asked));
    keys = std::move(others);
  }
}

Status S3Store::Create(const RequestContext& context, const std::string& name, ByteView data,
                       ObjectClass object_class) {
  RETURN_IF_ERROR(CheckObjectName(name));
  if (condition_ != Condition::kMissing) {
    Status put = Put(context, name, data, object_class, Condition::kTaken);
    if (put.has_value()) {
      condition_ = Condition::kTaken;
      return put;
    }
    Condition untried = Condition::kUntried;
    if (put.error().code != ErrorCode::kUnsupported ||
        !condition_.compare_exchange_strong(untried, Condition::kMissing)) {
      return put;
    }
    LOG(kWarning, "store ", settings_.description,
        " cannot create an object only if there is none: ", put.error().message);
  }
  return LookThenPut(context, name, data, object_class);
}

Status S3Store::Put(const RequestContext& context, const std::string& name, ByteView data,
                    ObjectClass object_class, Condition condition) {
  const bool google = settings_.scope.dialect == S3Dialect::kGoogle;
  S3Call call = CallOf("PUT", name);
  call.body = data;
  call.body_hash = crypto::Sha256(data);
  call.headers.emplace_back("Content-Type", kObjectType);
  // Every server refuses a body that is not the signed hash's, or this one's.
  call.headers.emplace_back("Content-MD5", ToBase64(crypto::Md5(data)));
  if (condition == Condition::kTaken) {
    call.headers.emplace_back(google ? "x-goog-if-generation-match" : "If-None-Match",
                              google ? "0" : "*");
  }
  // Packs alone: classes that are cheap to keep are dear to ask for small things.
  if (object_class == ObjectClass::kData && !settings_.storage_class.empty()) {
    call.headers.emplace_back(google ? "x-goog-storage-class" : "x-amz-storage-class",
                              settings_.storage_class);
  }
  ASSIGN_OR_RETURN(const http::Response response,
                   Ask(context, call, AskedOf(kPutAction, name), kSmallAnswerMax));
  if (response.status == 200 || response.status == 201 || response.status == 204) return {};
  return FailAnswer(Concat("object ", name), Concat("HTTP ", response.status));
}

Status S3Store::LookThenPut(const RequestContext& context, const std::string& name, ByteView data,
                            ObjectClass object_class) {
  const Result<std::uint64_t> there = SizeOf(context, name);
  if (there.has_value()) {
    return Fail(ErrorCode::kAlreadyExists, Concat("object ", name, " exists already"));
  }
  if (there.error().code != ErrorCode::kNotFound) return Fail(there.error());
  return Put(context, name, data, object_class, Condition::kMissing);
}

Result<std::uint64_t> S3Store::SizeOf(const RequestContext& context, const std::string& name) {
  S3Asked asked = AskedOf(kGetAction, name);
  asked.body_expected = false;
  ASSIGN_OR_RETURN(const http::Response response,
                   Ask(context, CallOf("HEAD", name), asked, kSmallAnswerMax));
  const auto size = NumberOf(response.Find("Content-Length").value_or(""));
  if (response.status != 200 || !size) return FailAnswer(asked.what, "no size");
  return *size;
}

Result<Bytes> S3Store::Get(const RequestContext& context, const std::string& name,
                           std::uint64_t size_max) {
  RETURN_IF_ERROR(CheckObjectName(name));
  const S3Asked asked = AskedOf(kGetAction, name);
  ASSIGN_OR_RETURN(http::Response response,
                   Ask(context, CallOf("GET", name), asked, BodyMax(size_max)));
  if (response.status != 200) {
    return FailAnswer(asked.what, Concat("HTTP ", response.status, " to a request for all of it"));
  }
  RETURN_IF_ERROR(CheckAnswerLength(response, asked.what));
  if (response.body.size() > size_max) {
    return Fail(ErrorCode::kCorruption, Concat("object ", name, " is longer than the ", size_max,
                                               " bytes that it may have"));
  }
  return std::move(response.body);
}

Result<Bytes> S3Store::GetRange(const RequestContext& context, const std::string& name,
                                std::uint64_t offset, std::uint64_t length) {
  RETURN_IF_ERROR(CheckObjectName(name));
  if (length == 0 || offset >= kHttpOffsetMax) {  // HTTP has no such range
    ASSIGN_OR_RETURN(const std::uint64_t size, SizeOf(context, name));
    RETURN_IF_ERROR(ClipObjectRange(name, size, offset, length));
    return Bytes();
  }
  length = std::min(length, kHttpOffsetMax - offset);
  const S3Asked asked = AskedOf(kGetAction, name);
  S3Call call = CallOf("GET", name);
  call.headers.emplace_back("Range", Concat("bytes=", offset, "-", offset + length - 1));
  auto asked_for = Ask(context, call, asked, BodyMax(length));
  if (!asked_for.has_value() && asked_for.error().code == ErrorCode::kCorruption) {
    // More than the range came: that says something of the answer and nothing of the object.
    return FailAnswer(asked.what, Concat("more than the ", length, " bytes asked for"));
  }
  if (!asked_for.has_value()) return Fail(asked_for.error());
  http::Response& response = *asked_for;
  if (response.status == 416) {
    return Fail(ErrorCode::kCorruption,
                Concat("object ", name, " ends before the ", length, " bytes wanted at ", offset));
  }
  RETURN_IF_ERROR(CheckAnswerLength(response, asked.what));
  RETURN_IF_ERROR(CheckAnswerRange(response, asked.what, offset, length));
  return std::move(response.body);
}

Result<S3ListPage> S3Store::ListKeys(const RequestContext& context, const S3ListAsked& asked,
                                     const std::string& continuation_token) {
  S3Call call = CallOfBucket("GET");
  call.query = {{"list-type", "2"}, {"max-keys", LogText(asked.limit)}};
  if (!asked.key_prefix.empty()) call.query.emplace_back("prefix", asked.key_prefix);
  if (!continuation_token.empty()) {
    call.query.emplace_back("continuation-token", continuation_token);
  } else if (!asked.start_after.empty()) {
    call.query.emplace_back("start-after", asked.start_after);
  }
  const S3Asked what{.action = kListAction, .what = Concat("list of ", settings_.description)};
  auto response = Ask(context, call, what, kListAnswerMax);
  if (!response.has_value() && response.error().code == ErrorCode::kCorruption) {
    return FailAnswer(what.what, "more than any list has");
  }
  if (!response.has_value()) return Fail(response.error());
  RETURN_IF_ERROR(CheckAnswerLength(*response, what.what));
  auto page = ParseS3List(response->body, asked);
  if (!page.has_value()) return Fail(page.error().Within(what.what));
  return page;
}

Result<ListPage> S3Store::List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) {
  RETURN_IF_ERROR(CheckListLimit(limit));
  ListPage page{.objects = {}, .more = false};
  if (!CanBeginName(prefix)) return page;
  S3ListAsked asked{settings_.prefix + prefix,
                    start_after.empty() ? "" : settings_.prefix + start_after, limit};
  std::string token;
  for (int round = 0; round < kListRoundsMax; ++round) {
    ASSIGN_OR_RETURN(S3ListPage keys, ListKeys(context, asked, token));
    for (ListedObject& object : keys.keys) {
      asked.start_after = object.name;
      object.name.erase(0, settings_.prefix.size());
      if (!IsValidObjectName(object.name)) continue;  // another's
      if (page.objects.size() == limit) {
        page.more = true;
        return page;
      }
      page.objects.push_back(std::move(object));
    }
    page.more = keys.truncated;
    if (!page.more || page.objects.size() == limit) return page;
    token = keys.keys.empty() ? keys.continuation_token : "";
    if (keys.keys.empty() && token.empty()) {
      return FailAnswer(Concat("list of ", settings_.description),
                        "it goes on and does not say how");
    }
    asked.limit = kListLimitMax;
  }
  return Fail(ErrorCode::kUnsupported,
              Concat("list of ", settings_.description, ": among the first ",
                     kListRoundsMax * kListLimitMax, " objects there are too few of the vault's"),
              "keep the vault under a prefix of its own");
}

Status S3Store::CheckForInit(const RequestContext& context) {
  ASSIGN_OR_RETURN(const S3ListPage page, ListKeys(context, {settings_.prefix, "", 10}, ""));
  for (const ListedObject& object : page.keys) {
    if (IsPartOfVault(std::string_view(object.name).substr(settings_.prefix.size()))) continue;
    return Fail(ErrorCode::kAlreadyExists,
                Concat("store ", settings_.description, ": there are other objects, and no vault: ",
                       EscapeForTerminal(object.name.substr(0, 100))),
                Concat("give the vault a prefix of its own: ",
                       settings_.scope.dialect == S3Dialect::kGoogle ? "gs://" : "s3://",
                       settings_.bucket, "/PREFIX"));
  }
  return {};
}

Status S3Store::Delete(const RequestContext& context, const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  RETURN_IF_ERROR(
      Ask(context, CallOf("DELETE", name), AskedOf(kDeleteAction, name), kSmallAnswerMax));
  return {};
}

std::vector<Status> S3Store::DeleteMany(const RequestContext& context,
                                        const std::vector<std::string>& names) {
  // Google's has no batch with these keys.
  if (settings_.scope.dialect == S3Dialect::kGoogle) {
    return ObjectStore::DeleteMany(context, names);
  }
  std::vector<Status> results(names.size());
  for (std::size_t begin = 0; begin < names.size(); begin += kDeleteBatchMax) {
    DeleteBatch(context, names, results, begin, std::min(names.size(), begin + kDeleteBatchMax));
  }
  return results;
}

void S3Store::DeleteBatch(const RequestContext& context, const std::vector<std::string>& names,
                          std::vector<Status>& results, std::size_t begin, std::size_t end) {
  std::vector<std::string> keys;
  for (std::size_t i = begin; i < end; ++i) {
    results[i] = CheckObjectName(names[i]);
    if (results[i].has_value()) keys.push_back(settings_.prefix + names[i]);
  }
  if (keys.empty()) return;
  const std::string body = S3DeleteRequest(keys);
  S3Call call = CallOfBucket("POST");
  call.query = {{"delete", ""}};
  call.body = AsBytes(body);
  call.headers = {{"Content-Type", "application/xml"},
                  {"Content-MD5", ToBase64(crypto::Md5(call.body))}};
  const S3Asked asked{.action = kDeleteAction,
                      .what = Concat("delete of ", keys.size(), " objects")};
  const auto outcome = [&]() -> Result<S3DeleteOutcome> {
    ASSIGN_OR_RETURN(const http::Response response, Ask(context, call, asked, kListAnswerMax));
    return ParseS3Delete(response.body);
  }();
  for (std::size_t i = begin; i < end; ++i) {
    if (!results[i].has_value()) continue;
    results[i] = [&]() -> Status {
      if (!outcome.has_value()) return Fail(outcome.error());
      const std::string key = settings_.prefix + names[i];
      const auto failed = outcome->failed.find(key);
      if (failed != outcome->failed.end()) {
        return Fail(ExplainS3Code(failed->second.code, failed->second.message,
                                  AskedOf(kDeleteAction, names[i])));
      }
      if (outcome->deleted.contains(key)) return {};
      return FailAnswer(Concat("object ", names[i]), "it does not say whether it is deleted");
    }();
  }
}

}  // namespace coffer::store
