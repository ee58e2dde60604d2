// A volume with small limits beside a model of its bytes, and another machine that knows it from
// the store alone.
#pragma once

#include <gtest/gtest.h>

#include "tests/volume/volume_world.h"

namespace coffer::volume {

class ModelledVolume : public testing::Test {
 protected:
  static constexpr std::uint64_t kBlock = 4096;

  ModelledVolume(std::uint64_t size, std::uint32_t chunk_size)
      : machine_(provider_, seed_),
        other_(provider_, seed_ + 9, "b"),
        chunk_size_(chunk_size),
        model_(size) {}

  void SetUp() override {
    ASSERT_OK(
        machine_.Create({.name = "photos", .size = model_.size(), .chunk_size = chunk_size_}));
  }
  void Open() { OpenOn(machine_); }
  void OpenOn(vault::Machine& machine) {
    opened_.reset();
    ASSERT_OK_AND_ASSIGN(opened_, OpenedVolume::Open(machine, {.settings = settings_}));
  }
  void Close() {
    ASSERT_OK(volume().Close(CloseMode::kUpload, {}));
    opened_.reset();
  }
  Volume& volume() { return **opened_; }
  void Write(std::uint64_t offset, std::uint64_t length) {
    WriteBytes(offset, random_.NewBytes(length));
  }
  void WriteBytes(std::uint64_t offset, const Bytes& data) {
    ASSERT_OK(volume().Write(offset, data, block::WriteFlag::kNone));
    model_.Write(offset, data);
  }

  const std::uint64_t seed_ = TestSeed();
  store::MemoryStore provider_;
  vault::Machine machine_;
  vault::Machine other_;
  const std::uint32_t chunk_size_;
  SeededRandom random_{seed_ + 1};
  ByteModel model_;
  Settings settings_ = SmallSettings();
  std::unique_ptr<OpenedVolume> opened_;
};

}  // namespace coffer::volume
