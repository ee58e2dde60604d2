// Random, valid structures of every kind in core/format, from a seed; tests and the tool that makes
// fuzz corpora share them.
#pragma once

#include <random>
#include <string>

#include "core/format/catalog.h"
#include "core/format/delta.h"
#include "core/format/head.h"
#include "core/format/journal.h"
#include "core/format/key_header.h"
#include "core/format/keyring.h"
#include "core/format/marker.h"
#include "core/format/pack.h"
#include "core/format/page.h"
#include "core/format/trust.h"

namespace coffer::format {

class Samples {
 public:
  explicit Samples(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t Below(std::uint64_t end) { return engine_() % end; }
  std::uint64_t Between(std::uint64_t first, std::uint64_t last) {
    return first + Below(last - first + 1);
  }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  Bytes RandomBytes(std::size_t count);
  template <class IdType>
  IdType NewId() {
    return IdType::From(RandomBytes(IdType::kBytes));
  }

  Marker NewMarker();
  KeyHeader NewKeyHeader();
  Keyring NewKeyring();
  Catalog NewCatalog();
  Head NewHead();
  Page NewPage(const PackId& self, std::uint32_t self_epoch);
  Delta NewDelta(const PackId& self, std::uint32_t self_epoch);
  PackHeader NewPackHeader();
  std::vector<PackTableEntry> NewPackTable();
  Trust NewTrust();
  SegmentPrefix NewSegmentPrefix();
  SegmentHeader NewSegmentHeader();
  GroupHeader NewGroupHeader();
  RecordHeader NewRecordHeader();
  Pieces NewPieces(std::uint32_t chunk_size, const PackId& self, std::uint32_t self_epoch);

 private:
  std::string NewText(std::size_t bytes_max);
  std::string NewName();
  Extensions NewExtensions();
  Features NewFeatures();
  ChainPoint NewPoint();
  FrameRef NewFrame(std::uint32_t plain_length);
  FrameRef NewFrame(std::uint32_t plain_length, const PackId& self, std::uint32_t self_epoch);
  MapRoot NewMap();
  std::uint64_t NewVolumeSize();
  std::uint32_t NewChunkSize();

  std::mt19937_64 engine_;
  std::vector<std::pair<PackId, std::uint32_t>> packs_;
};

}  // namespace coffer::format
