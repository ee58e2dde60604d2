#include "tests/format/structures.h"

#include "core/format/sealed_object.h"
#include "core/format/spool.h"
#include "tests/format/samples.h"

namespace coffer::format {
namespace {

const PackId kSelf = PackId::From(AsBytes("the pack that is being looked at"));
constexpr std::uint32_t kSelfEpoch = 7;

Bytes Plain(Bytes bytes) { return bytes; }
Bytes Plain(const SecretBytes& secret) { return ToBytes(secret.view()); }

/// The general case: `make` a sample, `encode`, `decode`.
template <class Make, class Encoder, class Decoder, class Equal>
Structure Describe(std::string name, Make make, Encoder encode, Decoder decode, Equal equal) {
  Structure structure;
  structure.name = std::move(name);
  structure.encode_sample = [make, encode](std::uint64_t seed) {
    Samples samples(seed);
    return Plain(encode(make(samples)));
  };
  structure.recode = [encode, decode](ByteView bytes) -> Result<Bytes> {
    ASSIGN_OR_RETURN(auto value, decode(bytes));
    return Plain(encode(value));
  };
  structure.survives = [make, encode, decode, equal](std::uint64_t seed) {
    Samples samples(seed);
    const auto value = make(samples);
    const Bytes encoded = Plain(encode(value));
    auto decoded = decode(ByteView(encoded));
    return decoded.has_value() && equal(value, *decoded);
  };
  return structure;
}

template <class Make, class Decoder>
Structure Describe(std::string name, Make make, Decoder decode) {
  return Describe(
      std::move(name), make, [](const auto& value) { return Encode(value); }, decode,
      [](const auto& a, const auto& b) { return a == b; });
}

template <std::size_t kSize, class Make, class Decoder>
Structure DescribeFixed(std::string name, Make make, Decoder decode) {
  return Describe(
      std::move(name), make,
      [](const auto& value) {
        Bytes out(kSize);
        EncodeTo(value, std::span<std::byte, kSize>(out));
        return out;
      },
      decode, [](const auto& a, const auto& b) { return a == b; });
}

bool SameKeyring(const Keyring& a, const Keyring& b) {
  if (a.epochs.size() != b.epochs.size()) return false;
  for (std::size_t i = 0; i < a.epochs.size(); ++i) {
    if (a.epochs[i].epoch != b.epochs[i].epoch ||
        a.epochs[i].created_unix != b.epochs[i].created_unix ||
        !ConstantTimeEqual(a.epochs[i].master_key.view(), b.epochs[i].master_key.view()))
      return false;
  }
  return a.parent == b.parent && a.features == b.features && a.slots == b.slots &&
         a.extensions == b.extensions;
}

struct SealedSample {
  SealedKind kind;
  std::uint32_t key_epoch;
  std::array<std::byte, 32> salt;
  Bytes sealed;
  bool operator==(const SealedSample&) const = default;
};

Structure DescribeSealed(std::string name, SealedKind kind) {
  return Describe(
      std::move(name),
      [kind](Samples& samples) {
        SealedSample sample{kind, static_cast<std::uint32_t>(samples.Below(100)), {}, {}};
        const Bytes salt = samples.RandomBytes(32);
        std::copy(salt.begin(), salt.end(), sample.salt.begin());
        sample.sealed = samples.RandomBytes(samples.Between(16, 600));
        return sample;
      },
      [](const SealedSample& sample) {
        Bytes out = EncodeSealedPrefix(sample.kind, sample.key_epoch, sample.salt);
        out.insert(out.end(), sample.sealed.begin(), sample.sealed.end());
        return out;
      },
      [kind](ByteView bytes) -> Result<SealedSample> {
        ASSIGN_OR_RETURN(const SealedObject object, DecodeSealedObject(kind, bytes));
        return SealedSample{object.kind, object.key_epoch, object.salt, ToBytes(object.sealed)};
      },
      [](const auto& a, const auto& b) { return a == b; });
}

std::vector<Structure> Build() {
  std::vector<Structure> all;
  all.push_back(Describe(
      "marker", [](Samples& s) { return s.NewMarker(); }, DecodeMarker));
  all.push_back(Describe(
      "key header", [](Samples& s) { return s.NewKeyHeader(); }, DecodeKeyHeader));
  all.push_back(Describe(
      "keyring", [](Samples& s) { return s.NewKeyring(); },
      [](const Keyring& keyring) { return Encode(keyring); }, DecodeKeyring, SameKeyring));
  all.push_back(Describe(
      "catalog", [](Samples& s) { return s.NewCatalog(); }, DecodeCatalog));
  all.push_back(Describe(
      "head", [](Samples& s) { return s.NewHead(); }, DecodeHead));
  all.push_back(Describe(
      "page", [](Samples& s) { return s.NewPage(kSelf, kSelfEpoch); },
      [](const Page& page) { return Encode(page, kSelf); },
      [](ByteView bytes) { return DecodePage(bytes, kSelf, kSelfEpoch); },
      [](const auto& a, const auto& b) { return a == b; }));
  all.push_back(Describe(
      "delta", [](Samples& s) { return s.NewDelta(kSelf, kSelfEpoch); },
      [](const Delta& delta) { return Encode(delta, kSelf).value(); },
      [](ByteView bytes) { return DecodeDelta(bytes, kSelf, kSelfEpoch); },
      [](const auto& a, const auto& b) { return a == b; }));
  all.push_back(Describe(
      "pack prefix",
      [](Samples& s) { return PackPrefix{static_cast<std::uint32_t>(s.Between(1, 1u << 20))}; },
      DecodePackPrefix));
  all.push_back(Describe(
      "pack header", [](Samples& s) { return s.NewPackHeader(); },
      [](ByteView bytes) {
        const std::uint64_t length =
            bytes.size() == kPackHeaderPlainBytes ? LoadLe<std::uint32_t>(bytes.data() + 12) : 0;
        return DecodePackHeader(bytes, length);
      }));
  all.push_back(Describe(
      "pack table", [](Samples& s) { return s.NewPackTable(); }, DecodePackTable));
  all.push_back(Describe(
      "trust", [](Samples& s) { return s.NewTrust(); }, DecodeTrust));
  all.push_back(Describe(
      "host key",
      [](Samples& s) {
        return HostKeyRecord{s.NewId<VaultId>(), s.NewId<HostId>(),
                             SecretBytes::CopyOf(s.RandomBytes(32))};
      },
      [](const HostKeyRecord& record) { return Encode(record); }, DecodeHostKeyRecord,
      [](const HostKeyRecord& a, const HostKeyRecord& b) {
        return a.vault == b.vault && a.host == b.host &&
               ConstantTimeEqual(a.key.view(), b.key.view());
      }));
  all.push_back(Describe(
      "segment prefix", [](Samples& s) { return s.NewSegmentPrefix(); }, DecodeSegmentPrefix));
  all.push_back(Describe(
      "segment header", [](Samples& s) { return s.NewSegmentHeader(); }, DecodeSegmentHeader));
  all.push_back(DescribeFixed<kGroupHeaderBytes>(
      "group header", [](Samples& s) { return s.NewGroupHeader(); }, DecodeGroupHeader));
  all.push_back(DescribeFixed<kRecordHeaderBytes>(
      "record header", [](Samples& s) { return s.NewRecordHeader(); }, DecodeRecordHeader));
  all.push_back(DescribeSealed("sealed head", SealedKind::kHead));
  all.push_back(DescribeSealed("sealed catalog", SealedKind::kCatalog));
  all.push_back(DescribeSealed("sealed trust", SealedKind::kTrust));
  all.push_back(DescribeSealed("sealed host key", SealedKind::kHostKey));
  all.push_back(Describe(
      "spool",
      [](Samples& s) {
        return Spool{s.Between(1, 1000), s.RandomBytes(s.Between(1, 600))};
      },
      DecodeSpool));
  for (Structure& structure : all) {
    const std::string& name = structure.name;
    if (name.starts_with("sealed ")) structure.bytes_min = kSealedPrefixBytes + 16;
    if (name == "spool") structure.bytes_min = kSpoolPrefixBytes + 1;
    if (structure.bytes_min != 0) structure.extent = Extent::kOpenEnded;
    if (name == "pack prefix" || name == "segment prefix" || name == "group header")
      structure.extent = Extent::kBeginning;
  }
  return all;
}

}  // namespace

const std::vector<Structure>& Structures() {
  static const std::vector<Structure> all = Build();
  return all;
}

}  // namespace coffer::format
