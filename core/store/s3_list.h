// S3's answers in XML: a page of ListObjectsV2, and what became of a batch of deletes
// (docs.aws.amazon.com/AmazonS3/latest/API: ListObjectsV2, DeleteObjects). Pure.
//
// A provider is not trusted to list honestly, but what it lists must make sense: names that were
// asked for, in order, each once (faults.md 40). Anything else is an error, never a shorter list.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/store/object_store.h"

namespace coffer::store {

/// What was asked for, in keys: names with the store's prefix before them.
struct S3ListAsked {
  std::string key_prefix;
  std::string start_after;  // or ""
  std::size_t limit;
};

/// One page as it came: keys of others' objects are among them.
struct S3ListPage {
  std::vector<ListedObject> keys;
  bool truncated = false;
  std::string continuation_token;  // "" unless truncated
};

/// kUnavailable for an answer that is no page; kUnsupported for one that breaks the order, or holds
/// what was not asked for: such a server cannot serve as a store. What is beyond `limit` is cut
/// off, and the page then truncated.
Result<S3ListPage> ParseS3List(ByteView body, const S3ListAsked& asked);

/// "2009-10-12T17:50:30.000Z"; nullopt for anything else.
[[nodiscard]] std::optional<UnixSeconds> ParseIsoTime(std::string_view text);

/// A key of a batch that was not deleted.
struct S3DeleteFailure {
  std::string code;
  std::string message;
};
struct S3DeleteOutcome {
  std::set<std::string> deleted;
  std::map<std::string, S3DeleteFailure> failed;
};
[[nodiscard]] std::string S3DeleteRequest(const std::vector<std::string>& keys);
Result<S3DeleteOutcome> ParseS3Delete(ByteView body);

}  // namespace coffer::store
