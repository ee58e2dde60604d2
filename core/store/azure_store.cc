#include "core/store/azure_store.h"

#include <algorithm>
#include <utility>

#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/store/bucket_answers.h"
#include "core/store/xml.h"

namespace coffer::store {
namespace {

/// With all that real answers say of each, these stay far below kXmlBytesMax.
constexpr std::size_t kListPageMax = 2500;
/// Pages that a List walks over: a million names.
constexpr int kListRoundsMax = 400;
constexpr std::string_view kObjectType = "application/octet-stream";

AzureAsked AskedOf(AzureAction action, const std::string& name) {
  return {.action = action, .what = Concat("object ", name)};
}

tl::unexpected<Error> FailEndsBefore(const std::string& name, std::uint64_t offset,
                                     std::uint64_t length) {
  return Fail(ErrorCode::kCorruption,
              Concat("object ", name, " ends before the ", length, " bytes wanted at ", offset));
}

/// Some servers answer a range beyond the end so, instead of 416.
bool IsBeyondEnd(const http::Response& response, std::uint64_t offset) {
  const auto range = ParseContentRange(response.Find("Content-Range").value_or(""));
  return response.status == 206 && response.body.empty() && range && range->total <= offset;
}

}  // namespace

AzureStore::AzureStore(AzureSettings settings, std::unique_ptr<AzureCredentials> credentials,
                       http::HttpClient& http, Clock& clock)
    : settings_(std::move(settings)),
      credentials_(std::move(credentials)),
      http_(http),
      clock_(clock) {}

AzureCall AzureStore::CallOf(std::string_view method, const std::string& name) const {
  return {.method = std::string(method),
          .origin = settings_.origin,
          .path = Concat(settings_.base_path, "/", UriEncodePath(settings_.prefix + name))};
}

std::shared_ptr<const AzureKeys> AzureStore::OtherKeys(const AzureKeys& used) {
  credentials_->Reload();
  auto keys = credentials_->Get();
  if (!keys.has_value() || (*keys)->SameAs(used)) return nullptr;
  LOG(kInfo, "store ", settings_.description, ": another key was found and is used from now on");
  return *keys;
}

/// Whatever the service says, only who asked for a blob learns that there is none, and only who
/// makes one that there is one.
Error AzureStore::Judge(const AzureFailure& failure, const AzureAsked& asked) const {
  Error error = failure.error;
  if (failure.container_missing) {
    if (container_seen_) error.code = ErrorCode::kUnavailable;
    return error;
  }
  const bool names_blob =
      asked.action == AzureAction::kRead || asked.action == AzureAction::kDelete;
  if ((error.code == ErrorCode::kNotFound && !names_blob) ||
      (error.code == ErrorCode::kAlreadyExists && asked.action != AzureAction::kCreate)) {
    error.code = ErrorCode::kUnavailable;
  }
  return error;
}

std::optional<http::Response> AzureStore::TryAsk(const RequestContext& context,
                                                 const AzureCall& call, const AzureAsked& asked,
                                                 std::uint64_t body_bytes_max,
                                                 AzureFailure& failure) {
  Result<std::shared_ptr<const AzureKeys>> found = credentials_->Get();
  if (!found.has_value()) {
    failure.error = found.error();
    return std::nullopt;
  }
  std::shared_ptr<const AzureKeys> keys = *std::move(found);
  for (bool again = false;; again = true) {
    http::Request request;
    request.method = call.method;
    request.url = AzureUrl(call, *keys);
    for (auto& [name, value] : SignAzure(call, settings_.account, *keys, clock_.WallNow())) {
      request.headers.push_back({std::move(name), std::move(value)});
    }
    request.body = call.body;
    request.body_bytes_max = body_bytes_max;
    auto response = http_.Perform(context, request);
    if (!response.has_value()) {
      failure.error = response.error().Within(asked.what);
      return std::nullopt;
    }
    const bool is_beyond_end = response->status == 416 && asked.action == AzureAction::kRead &&
                               response->Find("x-ms-request-id").has_value();
    if (IsAzuresSuccess(*response, asked.action) || is_beyond_end) {
      container_seen_ = true;
      return *std::move(response);
    }
    failure = ExplainAzure(*response, asked, settings_, *keys, clock_.WallNow());
    failure.error = Judge(failure, asked);
    std::shared_ptr<const AzureKeys> others;
    if (failure.other_keys_may_help && !again) others = OtherKeys(*keys);
    if (others == nullptr) return std::nullopt;
    keys = std::move(others);
  }
}

Result<http::Response> AzureStore::Ask(const RequestContext& context, const AzureCall& call,
                                       const AzureAsked& asked, std::uint64_t body_bytes_max) {
  AzureFailure failure;
  auto response = TryAsk(context, call, asked, body_bytes_max, failure);
  if (!response) return Fail(std::move(failure.error));
  return *std::move(response);
}

Status AzureStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                          ObjectClass object_class) {
  RETURN_IF_ERROR(CheckObjectName(name));
  AzureCall call = CallOf("PUT", name);
  call.body = data;
  call.headers = {{"If-None-Match", "*"},
                  {"Content-Type", std::string(kObjectType)},
                  {"Content-MD5", ToBase64(crypto::Md5(data))},
                  {"x-ms-blob-type", "BlockBlob"}};
  // Packs alone: tiers that are cheap to keep are dear to ask for small things.
  if (object_class == ObjectClass::kData && !settings_.tier.empty()) {
    call.headers.emplace_back("x-ms-access-tier", settings_.tier);
  }
  const AzureAsked asked = AskedOf(AzureAction::kCreate, name);
  AzureFailure failure;
  const auto response = TryAsk(context, call, asked, kSmallAnswerMax, failure);
  if (response && response->status == 201) return {};
  if (response) {
    return FailAnswer(asked.what, Concat("HTTP ", response->status, " to its creation"));
  }
  // A SAS that may create and not write lacks a permission for a name that is taken: some servers
  // say so, before they look at the condition.
  if (failure.code == "AuthorizationPermissionMismatch" && SizeOf(context, name).has_value()) {
    return Fail(ErrorCode::kAlreadyExists, Concat("object ", name, " exists already"));
  }
  return Fail(std::move(failure.error));
}

Result<std::uint64_t> AzureStore::SizeOf(const RequestContext& context, const std::string& name) {
  const AzureAsked asked = AskedOf(AzureAction::kRead, name);
  ASSIGN_OR_RETURN(const http::Response response,
                   Ask(context, CallOf("HEAD", name), asked, kSmallAnswerMax));
  const auto size = NumberOf(response.Find("Content-Length").value_or(""));
  if (response.status != 200 || !size) return FailAnswer(asked.what, "no size");
  return *size;
}

Result<Bytes> AzureStore::Get(const RequestContext& context, const std::string& name,
                              std::uint64_t size_max) {
  RETURN_IF_ERROR(CheckObjectName(name));
  const AzureAsked asked = AskedOf(AzureAction::kRead, name);
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

Result<Bytes> AzureStore::GetRange(const RequestContext& context, const std::string& name,
                                   std::uint64_t offset, std::uint64_t length) {
  RETURN_IF_ERROR(CheckObjectName(name));
  if (length == 0 || offset >= kHttpOffsetMax) {  // HTTP has no such range
    ASSIGN_OR_RETURN(const std::uint64_t size, SizeOf(context, name));
    RETURN_IF_ERROR(ClipObjectRange(name, size, offset, length));
    return Bytes();
  }
  length = std::min(length, kHttpOffsetMax - offset);
  const AzureAsked asked = AskedOf(AzureAction::kRead, name);
  AzureCall call = CallOf("GET", name);
  call.headers.emplace_back("x-ms-range", Concat("bytes=", offset, "-", offset + length - 1));
  auto answer = Ask(context, call, asked, BodyMax(length));
  if (!answer.has_value() && answer.error().code == ErrorCode::kCorruption) {
    // More than the range came: that says something of the answer and nothing of the object.
    return FailAnswer(asked.what, Concat("more than the ", length, " bytes asked for"));
  }
  if (!answer.has_value()) return Fail(answer.error());
  if (answer->status == 416 || IsBeyondEnd(*answer, offset)) {
    return FailEndsBefore(name, offset, length);
  }
  RETURN_IF_ERROR(CheckAnswerLength(*answer, asked.what));
  RETURN_IF_ERROR(CheckAnswerRange(*answer, asked.what, offset, length));
  return std::move(answer->body);
}

Result<AzureListPage> AzureStore::ListBlobs(const RequestContext& context,
                                            const std::string& prefix, const std::string& marker,
                                            std::size_t count) {
  AzureCall call{.method = "GET", .origin = settings_.origin, .path = settings_.base_path};
  call.query = {{"restype", "container"}, {"comp", "list"}, {"maxresults", LogText(count)}};
  const std::string whole_prefix = settings_.prefix + prefix;
  if (!whole_prefix.empty()) call.query.emplace_back("prefix", whole_prefix);
  if (!marker.empty()) call.query.emplace_back("marker", marker);
  const AzureAsked asked{.action = AzureAction::kList,
                         .what = Concat("list of ", settings_.description)};
  auto response = Ask(context, call, asked, kXmlBytesMax);
  if (!response.has_value() && response.error().code == ErrorCode::kCorruption) {
    return FailAnswer(asked.what, "more than any list has");
  }
  if (!response.has_value()) return Fail(response.error());
  if (response->status != 200) return FailAnswer(asked.what, Concat("HTTP ", response->status));
  RETURN_IF_ERROR(CheckAnswerLength(*response, asked.what));
  auto page = ParseAzureList(response->body);
  if (!page.has_value()) return Fail(page.error().Within(asked.what));
  for (const ListedObject& blob : page->blobs) {
    if (blob.name.starts_with(whole_prefix)) continue;
    return FailAnswer(asked.what, Concat("names beyond ", whole_prefix));
  }
  if (!page->next_marker.empty() && page->next_marker == marker) {
    return FailAnswer(asked.what, "it goes on where it has begun");
  }
  return page;
}

/// Collects the names of one List from the service's pages.
class AzureStore::ListWalk {
 public:
  enum class Next { kGoOn, kFull, kBeginsTooLate };

  ListWalk(const ListAsked& asked, bool from_beginning)
      : asked_(asked), begins_soundly_(from_beginning) {}

  /// Of the vault's own names in a page, in order.
  Result<Next> Take(ListedObject object) {
    if (object.name <= last_) {
      return Fail(ErrorCode::kUnsupported,
                  Concat("the store lists names out of order: ", object.name, " after ", last_));
    }
    last_ = object.name;
    const bool is_before = object.name <= asked_.start_after;
    if (!begins_soundly_ && !is_before) return Next::kBeginsTooLate;
    begins_soundly_ = true;
    if (is_before) return Next::kGoOn;
    if (page_.objects.size() == asked_.limit) {
      page_.more = true;
      return Next::kFull;
    }
    page_.objects.push_back(std::move(object));
    return Next::kGoOn;
  }

  [[nodiscard]] bool begins_soundly() const { return begins_soundly_; }
  [[nodiscard]] bool is_full() const { return page_.objects.size() == asked_.limit; }
  ListPage Finish() && { return std::move(page_); }
  ListPage FinishWithMore() && {
    page_.more = true;
    return std::move(page_);
  }

 private:
  const ListAsked& asked_;
  bool begins_soundly_;
  std::string last_;
  ListPage page_{.objects = {}, .more = false};
};

Result<std::optional<ListPage>> AzureStore::WalkFrom(const RequestContext& context,
                                                     const ListAsked& asked, std::string marker) {
  ListWalk walk(asked, marker.empty());
  // One more than wanted tells whether there are more; a page's worth lies before what is wanted
  // when who asks goes on from the page before.
  const std::size_t passed = asked.start_after.empty() ? 0 : asked.limit;
  std::size_t count = std::min(kListPageMax, passed + asked.limit + 1);
  for (int round = 0; round < kListRoundsMax; ++round) {
    ASSIGN_OR_RETURN(AzureListPage page, ListBlobs(context, asked.prefix, marker, count));
    bool is_first = true;
    for (ListedObject& blob : page.blobs) {
      blob.name.erase(0, settings_.prefix.size());
      if (!IsValidObjectName(blob.name)) continue;  // another's
      if (std::exchange(is_first, false) && !marker.empty()) {
        markers_.Remember(asked.prefix, marker, blob.name);
      }
      ASSIGN_OR_RETURN(const auto next, walk.Take(std::move(blob)));
      if (next == ListWalk::Next::kBeginsTooLate) return std::optional<ListPage>();
      if (next == ListWalk::Next::kFull) return std::move(walk).Finish();
    }
    if (page.next_marker.empty()) {
      if (!walk.begins_soundly()) return std::optional<ListPage>();
      return std::move(walk).Finish();
    }
    marker = std::move(page.next_marker);
    count = kListPageMax;
  }
  if (walk.is_full()) return std::move(walk).FinishWithMore();
  return Fail(ErrorCode::kUnsupported,
              Concat("list of ", settings_.description, ": among the first ",
                     kListRoundsMax * kListPageMax, " blobs there are too few of the vault's"),
              "keep the vault under a prefix of its own");
}

Result<ListPage> AzureStore::List(const RequestContext& context, const std::string& prefix,
                                  const std::string& start_after, std::size_t limit) {
  RETURN_IF_ERROR(CheckListLimit(limit));
  if (!CanBeginName(prefix)) return ListPage{.objects = {}, .more = false};
  const ListAsked asked{prefix, start_after, limit};
  if (const std::string marker = markers_.Nearest(prefix, start_after); !marker.empty()) {
    auto page = WalkFrom(context, asked, marker);
    if (page.has_value() && *page) return **std::move(page);
    // A marker that the service no longer knows is refused as an argument.
    if (!page.has_value() && page.error().code != ErrorCode::kInvalidArgument) {
      return Fail(page.error());
    }
    markers_.Forget(marker);
  }
  ASSIGN_OR_RETURN(std::optional<ListPage> page, WalkFrom(context, asked, ""));
  if (page.has_value()) return *std::move(page);
  return Fail(ErrorCode::kUnavailable, Concat("list of ", settings_.description,
                                              ": it does not begin where it was asked to"));
}

Status AzureStore::CheckForInit(const RequestContext& context) {
  ASSIGN_OR_RETURN(const AzureListPage page, ListBlobs(context, "", "", 10));
  for (const ListedObject& blob : page.blobs) {
    if (IsPartOfVault(std::string_view(blob.name).substr(settings_.prefix.size()))) continue;
    return Fail(ErrorCode::kAlreadyExists,
                Concat("store ", settings_.description, ": there are other blobs, and no vault: ",
                       EscapeForTerminal(blob.name.substr(0, 100))),
                Concat("give the vault a prefix of its own: az://", settings_.account, "/",
                       settings_.container, "/PREFIX"));
  }
  return {};
}

Status AzureStore::Delete(const RequestContext& context, const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  const AzureAsked asked = AskedOf(AzureAction::kDelete, name);
  ASSIGN_OR_RETURN(const http::Response response,
                   Ask(context, CallOf("DELETE", name), asked, kSmallAnswerMax));
  if (response.status == 202) return {};
  return FailAnswer(asked.what, Concat("HTTP ", response.status, " to its deletion"));
}

}  // namespace coffer::store
