// What every ObjectStore must do. A new kind joins with a stack that makes an empty one:
//
//   struct S3Stack : StoreStack {
//     ObjectStore& store() override { return s3; }
//     …
//   };
//   INSTANTIATE_TEST_SUITE_P(S3, ObjectStoreConformance,
//                            testing::Values(Kind<S3Stack>("S3")), NameOfKind);
//
// The store may hold a marker `vault` already; the suite uses names under "t/" only.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/store/object_store.h"
#include "tests/support/result_macros.h"

namespace coffer::store {

/// A store and all that it stands on.
class StoreStack {
 public:
  virtual ~StoreStack() = default;
  virtual ObjectStore& store() = 0;
};

/// What a delete of what is not there comes to.
enum class DeleteOfNothing { kIsNotFound, kIsDone };

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<StoreStack>()> make;
  DeleteOfNothing delete_of_nothing;
};

template <class Stack>
StoreKind Kind(const std::string& name,
               DeleteOfNothing delete_of_nothing = DeleteOfNothing::kIsNotFound) {
  return {name, [] { return std::make_unique<Stack>(); }, delete_of_nothing};
}

inline std::string NameOfKind(const testing::TestParamInfo<StoreKind>& info) {
  return info.param.name;
}

class ObjectStoreConformance : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override { stack_ = GetParam().make(); }
  ObjectStore& store() { return stack_->store(); }

  Status Put(const std::string& name, std::string_view text) {
    return store().Create({}, name, AsBytes(text), ObjectClass::kData);
  }
  /// That the store has answered as it should to a delete of what is not there.
  testing::AssertionResult IsDeleteOfNothing(const Status& deleted) const {
    const bool told = GetParam().delete_of_nothing == DeleteOfNothing::kIsNotFound;
    return told ? FailsWith(deleted, ErrorCode::kNotFound) : IsOk(deleted);
  }
  /// The object's text, or its error's.
  std::string TextAt(const std::string& name);
  /// All names with `prefix`, fetched in pages of `limit`.
  std::vector<std::string> NamesUnder(const std::string& prefix, std::size_t limit = kListLimitMax);

 private:
  std::unique_ptr<StoreStack> stack_;
};

}  // namespace coffer::store
