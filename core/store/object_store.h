// ObjectStore: a place for immutable objects. Four operations (ranges and batches are two of them
// in other forms), chosen so that every kind of store can offer them; create-if-absent is the one
// primitive that everything else stands on (design.md section 4).
//
// Thread-safe. kUnavailable means a retry may help and is the only code that does. A create that
// failed with kUnavailable may have happened, or happen later: the caller repeats the same bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/request_context.h"
#include "core/base/result.h"

namespace coffer::store {

/// What an object is for: stores may place classes differently (S3 storage class), counters tell
/// them apart. Never part of the stored bytes.
enum class ObjectClass { kControl, kHead, kMetadata, kData };

/// How far the store's promises reach, as its probe found them.
enum class StoreStrength {
  kStrong,  // create-if-absent is atomic, LIST shows every object created before it began
  kWeak,    // it isn't, or doesn't: one writer only, by the owner's word (--single-writer)
};

/// What a store can do. Of a composition: what all of its parts can.
struct StoreCapabilities {
  StoreStrength strength = StoreStrength::kStrong;
  bool read_only = false;
  bool ranges = true;  // GetRange moves the range alone, not the object
  bool times = true;   // List tells when an object was made
};
[[nodiscard]] StoreCapabilities BothCan(const StoreCapabilities& a, const StoreCapabilities& b);

struct ListedObject {
  std::string name;
  std::uint64_t size = 0;
  std::optional<UnixSeconds> modified = {};  // by the store's own clock

  bool operator==(const ListedObject&) const = default;
};

struct ListPage {
  std::vector<ListedObject> objects;  // full names, ascending by byte value
  bool more;                          // there are names after the last one

  [[nodiscard]] std::vector<std::string> names() const;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// Creates `name` with `data`; durable on success. kAlreadyExists if there is one, whatever its
  /// bytes.
  virtual Status Create(const RequestContext& context, const std::string& name, ByteView data,
                        ObjectClass object_class) = 0;
  /// The whole object; kCorruption if longer than `size_max`, kNotFound.
  virtual Result<Bytes> Get(const RequestContext& context, const std::string& name,
                            std::uint64_t size_max) = 0;
  /// [offset, offset+length) as far as the object reaches, as HTTP's ranges do: who reads in
  /// windows need not know where it ends. kCorruption if it ends at or before `offset`.
  virtual Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                                 std::uint64_t offset, std::uint64_t length) = 0;
  /// Names that start with `prefix` and come after `start_after`, at most `limit` (1 … 1000).
  virtual Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                                const std::string& start_after, std::size_t limit) = 0;
  /// kNotFound if there is none, where the store says so: S3 and its kin take it for done, and
  /// asking first would cost a request each.
  virtual Status Delete(const RequestContext& context, const std::string& name) = 0;

  /// Deletes them all, in as few requests as the store can; for each name what Delete returns.
  virtual std::vector<Status> DeleteMany(const RequestContext& context,
                                         const std::vector<std::string>& names);

  [[nodiscard]] virtual StoreCapabilities capabilities() const = 0;
  /// For people: the URL or path, without credentials.
  [[nodiscard]] virtual std::string description() const = 0;
  /// One text for a place, however it is described: what a machine remembers about it hangs on
  /// this. Another one where a promise may be kept otherwise: another endpoint, say.
  [[nodiscard]] virtual std::string identity() const = 0;
};

/// The most names that one List may ask for.
inline constexpr std::size_t kListLimitMax = 1000;

/// Object names: 1 … 200 characters of [a-z0-9/._-], parts between slashes non-empty and not
/// starting with a dot. No name is ever another one's directory part ("a" beside "a/b"): some
/// stores are trees.
[[nodiscard]] bool IsValidObjectName(const std::string& name);

/// What every store refuses before it does anything: kInvalidArgument with the reason.
Status CheckObjectName(const std::string& name);
Status CheckListLimit(std::size_t limit);

/// How much of [offset, offset+length) an object of `size` bytes holds, or kCorruption: a reference
/// points beyond what is stored.
Result<std::uint64_t> ClipObjectRange(const std::string& name, std::uint64_t size,
                                      std::uint64_t offset, std::uint64_t length);

}  // namespace coffer::store
