// What a provider, or another version of coffer, may put in a store: key headers made by hand.
#pragma once

#include <string_view>

#include "core/base/random.h"
#include "core/format/key_header.h"
#include "core/format/keyring.h"
#include "core/store/memory_store.h"

namespace coffer::vault {

/// A key header as only who has the password can see it.
struct OpenHeader {
  format::KeyHeader header;
  SecretBytes unlock_key;
  format::Keyring keyring;
};
/// REQUIRES: `stored` opens with `password`, in slot 0.
[[nodiscard]] OpenHeader TakeApart(ByteView stored, std::string_view password);
/// Seals the keyring for header.vault and header.seq, and puts the MAC over all.
[[nodiscard]] Bytes PutTogether(OpenHeader open, Random& random);
/// Puts a slot for `password` at `index`; the MAC is not touched.
void SetSlot(OpenHeader& open, std::size_t index, std::string_view password, Random& random);

/// Replaces, adds or (nullptr) removes an object.
void Plant(store::MemoryStore& provider, const std::string& name, const Bytes* bytes);
[[nodiscard]] Bytes ObjectAt(const store::MemoryStore& provider, const std::string& name);

}  // namespace coffer::vault
