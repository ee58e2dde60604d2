#include "core/format/catalog.h"

#include "core/format/fields.h"

namespace coffer::format {
namespace {

constexpr std::size_t kVolumeBytesMin = 16 + 2 + 1 + 8 + 16 + 8 + 1;
constexpr std::size_t kCondemnedListBytesMin = 8 + 8 + 1;

bool IsAsciiAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void WriteVolume(Writer& out, const CatalogVolume& volume) {
  CHECK(IsValidVolumeName(volume.name));
  out.Id(volume.id);
  out.Text(volume.name, kNameBytesMax);
  out.U8(static_cast<std::uint8_t>(volume.state));
  out.I64(volume.created_unix);
  out.Id(volume.forked_from);
  out.U64(volume.forked_seq);
  WriteExtensions(out, volume.extensions);
}

CatalogVolume ReadVolume(Reader& in) {
  CatalogVolume volume;
  volume.id = in.Id<VolumeId>();
  volume.name = in.Text(kNameBytesMax);
  in.Require(!volume.id.IsNull() && IsValidVolumeName(volume.name),
             "a volume whose id or name cannot be");
  volume.state = static_cast<CatalogVolume::State>(in.U8());
  in.Require(
      volume.state == CatalogVolume::State::kLive || volume.state == CatalogVolume::State::kDeleted,
      "a volume in an unknown state");
  volume.created_unix = in.I64();
  volume.forked_from = in.Id<VolumeId>();
  volume.forked_seq = in.U64();
  in.Require(volume.forked_from.IsNull() == (volume.forked_seq == 0), "a fork of no head");
  volume.extensions = ReadExtensions(in);
  return volume;
}

void RequireUnique(Reader& in, const std::vector<CatalogVolume>& volumes) {
  std::vector<VolumeId> ids;
  std::vector<std::string_view> live_names;
  ids.reserve(volumes.size());
  live_names.reserve(volumes.size());
  for (const CatalogVolume& volume : volumes) {
    ids.push_back(volume.id);
    if (volume.state == CatalogVolume::State::kLive) live_names.push_back(volume.name);
  }
  in.Require(!HasDuplicates(std::move(ids)) && !HasDuplicates(std::move(live_names)),
             "two volumes of one id or name");
}

void WriteCondemned(Writer& out, const std::vector<CondemnedList>& lists) {
  CHECK(lists.size() <= kCondemnedListsMax);
  out.Varint(lists.size());
  std::size_t packs = 0;
  for (const CondemnedList& list : lists) {
    packs += list.packs.size();
    CHECK(packs <= kCondemnedPacksMax);
    out.U64(list.number);
    out.I64(list.created_unix);
    out.Varint(list.packs.size());
    for (const PackId& pack : list.packs) out.Id(pack);
  }
}

std::vector<CondemnedList> ReadCondemned(Reader& in) {
  std::vector<CondemnedList> lists(in.Count(kCondemnedListsMax, kCondemnedListBytesMin));
  std::uint64_t last_number = 0;
  std::size_t packs_left = kCondemnedPacksMax;
  for (CondemnedList& list : lists) {
    list.number = in.U64();
    if (!in.Require(list.number > last_number, "numbers of condemned lists do not ascend")) break;
    last_number = list.number;
    list.created_unix = in.I64();
    list.packs.resize(in.Count(packs_left, PackId::kBytes));
    for (PackId& pack : list.packs) pack = in.Id<PackId>();
    packs_left -= list.packs.size();
  }
  return lists;
}

}  // namespace

Bytes Encode(const Catalog& catalog) {
  CHECK(catalog.volumes.size() <= kVolumesMax);
  Writer out(1024 + catalog.volumes.size() * 128);
  out.Id(catalog.vault);
  out.U64(catalog.seq);
  out.Id(catalog.parent);
  out.Id(catalog.host);
  out.Text(catalog.host_name, kHostNameBytesMax);
  out.I64(catalog.created_unix);
  WriteFeatures(out, catalog.features);
  out.U64(catalog.header_seq_min);
  out.U8(static_cast<std::uint8_t>(catalog.dedup));
  out.Varint(catalog.volumes.size());
  for (const CatalogVolume& volume : catalog.volumes) WriteVolume(out, volume);
  WriteCondemned(out, catalog.condemned);
  WriteExtensions(out, catalog.extensions);
  return out.Take();
}

Result<Catalog> DecodeCatalog(ByteView bytes) {
  Reader in(bytes, kCatalogBytesMax, "catalog record");
  Catalog catalog;
  catalog.vault = in.Id<VaultId>();
  catalog.seq = in.U64();
  catalog.parent = in.Id<ObjectHash>();
  in.Require(catalog.seq != 0 && (catalog.seq == 1) == catalog.parent.IsNull(),
             "its sequence and parent disagree");
  catalog.host = in.Id<HostId>();
  catalog.host_name = in.Text(kHostNameBytesMax);
  catalog.created_unix = in.I64();
  catalog.features = ReadFeatures(in);
  catalog.header_seq_min = in.U64();
  catalog.dedup = static_cast<DedupScope>(in.U8());
  in.Require(catalog.dedup <= DedupScope::kVault, "an unknown dedup scope");
  catalog.volumes.resize(in.Count(kVolumesMax, kVolumeBytesMin));
  for (CatalogVolume& volume : catalog.volumes) {
    if (!in.ok()) break;
    volume = ReadVolume(in);
  }
  if (in.ok()) RequireUnique(in, catalog.volumes);
  catalog.condemned = ReadCondemned(in);
  catalog.extensions = ReadExtensions(in);
  RETURN_IF_ERROR(in.End());
  return catalog;
}

bool IsValidVolumeName(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || !IsAsciiAlphanumeric(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return IsAsciiAlphanumeric(c) || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace coffer::format
