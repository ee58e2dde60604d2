// A desktop user's way: udisks2 sets up the loop device and mounts it where it mounts his disks.
#include "core/base/mount_table.h"
#include "core/base/unique_fd.h"
#include "core/mount/flush.h"
#include "core/mount/growth.h"
#include "core/mount/loop_device.h"
#include "core/mount/way.h"

namespace coffer::mount {
namespace {

constexpr char kLetRootIn[] =
    "a line user_allow_other in /etc/fuse.conf lets root in; then close what is mounted and open "
    "it again";

/// Since Linux 6.16 a loop device asks for its file's size as root, whom a FUSE file system turns
/// away unless it was mounted with allow_root.
Error EmptyLoop(const std::string& device, std::uint64_t loop_bytes) {
  if (loop_bytes != 0) {
    return {ErrorCode::kUnsupported,
            "the kernel sees " + device + " in another size than the image"};
  }
  return {ErrorCode::kUnsupported,
          "the kernel sees " + device +
              " as empty, since root may not look into a FUSE mount of "
              "yours",
          kLetRootIn};
}

/// Where a loop device asks for its file system's block size as root, it is told none, and takes no
/// discards (Linux 6.1).
std::string NoDiscards(const std::string& device) {
  return "what is deleted is not given back to the store: " + device +
         " takes no discards, since root may not look into a FUSE mount of yours (" + kLetRootIn +
         ")";
}

/// Where it is mounted; "" for nowhere.
std::string PlaceOf(const std::string& device) {
  const auto mounts = ReadMountTable();
  if (!mounts.has_value()) return {};
  for (const MountEntry& entry : *mounts) {
    if (entry.source == device) return entry.mount_point;
  }
  return {};
}

class UdisksWay final : public Way {
 public:
  UdisksWay(const FileSystems& tools, const LoopDevices& loops, ConnectUdisks connect)
      : tools_(tools), loops_(loops), connect_(std::move(connect)) {}
  [[nodiscard]] const char* name() const override { return "udisks"; }

  [[nodiscard]] Status CheckCan(const MountSpec&, const std::string&) const override {
    ASSIGN_OR_RETURN(const auto udisks, connect_());
    return udisks->Check();
  }

  Status Mount(Attempt& attempt) override {
    ASSIGN_OR_RETURN(const auto udisks, connect_());
    RETURN_IF_ERROR(SetUp(*udisks, attempt));
    const Status mounted = MountDevice(*udisks, attempt);
    if (mounted.has_value()) return {};
    static_cast<void>(udisks->DeleteLoop(attempt.record.object, Udisks::kLongCall));
    attempt.record.device.clear();
    attempt.record.object.clear();
    attempt.record.link.clear();
    return mounted;
  }

  Status Unmount(const Record& record, Child&, Unmounting& unmounting) override {
    const std::vector<std::string> devices = DevicesOf(record);
    if (devices.empty()) return {};
    ASSIGN_OR_RETURN(const auto udisks, connect_());
    // By force what can be flushed has been before: nothing is left that takes long.
    const bool by_force = unmounting.by_force();
    const auto limit = by_force ? unmounting.how.patience : Udisks::kLongCall;
    for (const std::string& device : devices) {
      const std::string object = ObjectOf(device);
      if (const std::string place = PlaceOf(device); !place.empty()) {
        if (by_force) FlushByForce(tools_, place, unmounting);
        RETURN_IF_ERROR(
            udisks->Unmount(object, by_force ? Udisks::Force::kLazily : Udisks::Force::kNo, limit));
      }
      // Let go of already by what ClearAfterUse asked for, or not: both are well.
      if (loops_.BackingFileOf(device) == record.image) {
        const Status deleted = udisks->DeleteLoop(object, limit);
        if (!deleted.has_value() && loops_.BackingFileOf(device) == record.image) return deleted;
      }
    }
    return {};
  }

  [[nodiscard]] std::string PathOf(const Record& record) const override {
    for (const std::string& device : DevicesOf(record)) {
      if (std::string place = PlaceOf(device); !place.empty()) return place;
    }
    return {};
  }

  [[nodiscard]] bool IsHeld(const Record& record) const override {
    for (const std::string& device : DevicesOf(record)) {
      if (loops_.IsInUse(device)) return true;
    }
    return false;
  }

  [[nodiscard]] std::string ImageGrew(const Record& record, const std::string& file_system,
                                      std::uint64_t image_bytes) const override {
    return GrowLoop(loops_, {record.device, record.link, file_system, record.image}, image_bytes);
  }

 private:
  /// The recorded one, if it still is on this image; of a process that was killed before it could
  /// record one, any on the image.
  [[nodiscard]] std::vector<std::string> DevicesOf(const Record& record) const {
    if (record.device.empty()) return loops_.On(record.image);
    if (loops_.BackingFileOf(record.device) != record.image) return {};
    return {record.device};
  }
  static std::string ObjectOf(const std::string& device) {
    return "/org/freedesktop/UDisks2/block_devices/" + device.substr(device.rfind('/') + 1);
  }

  static Status SetUp(Udisks& udisks, Attempt& attempt) {
    ASSIGN_OR_RETURN(const UniqueFd image, OpenForLoop(attempt.spec.image, attempt.spec.read_only));
    ASSIGN_OR_RETURN(const Udisks::Loop loop,
                     udisks.SetUpLoop(image.get(), attempt.spec.read_only));
    attempt.record.device = loop.device;
    attempt.record.object = loop.object;
    return {};
  }

  /// With what udisks itself takes to be right for the type, and what has to be said beyond.
  static Result<std::string> MountWithOptions(Udisks& udisks, Attempt& attempt) {
    const std::string& object = attempt.record.object;
    if (!attempt.spec.read_only) return WithTwin(udisks.Mount(object, ""), attempt);
    Result<std::string> path = Fail(ErrorCode::kUnsupported, "not tried");
    for (const MountOptions& options : ReadOnlyOptions(attempt.file_system)) {
      auto tried = udisks.Mount(object, options.words);
      attempt.note = options.note;
      if (tried.has_value()) return tried;
      if (options.note.empty()) path = std::move(tried);  // what is said of the plainest counts
    }
    return WithTwin(std::move(path), attempt);
  }

  /// udisks allows no nouuid.
  static std::vector<MountOptions> ReadOnlyOptions(const std::string& file_system) {
    constexpr std::string_view kNoUuid = ",nouuid";
    std::vector<MountOptions> all = KernelOptions(file_system, Access::kReadOnly);
    for (MountOptions& options : all) {
      const std::size_t at = options.words.find(kNoUuid);
      if (at != std::string::npos) options.words.erase(at, kNoUuid.size());
    }
    return all;
  }

  /// What is said where the kernel refuses an xfs may have nothing to do with what is wrong.
  static Result<std::string> WithTwin(Result<std::string> path, const Attempt& attempt) {
    if (path.has_value() || attempt.file_system != "xfs" || !path.error().hint.empty()) return path;
    const auto mounts = ReadMountTable();
    if (!mounts.has_value()) return path;
    for (const MountEntry& entry : *mounts) {
      if (entry.type != "xfs") continue;
      path.error().hint = "if the xfs at " + entry.mount_point +
                          " is a copy of it or what it was copied from: two with one UUID are not "
                          "mounted together by udisks; unmount that one, or open as root";
      break;
    }
    return path;
  }

  Status MountDevice(Udisks& udisks, Attempt& attempt) {
    Record& record = attempt.record;
    RETURN_IF_ERROR(attempt.save(record));
    const std::uint64_t loop_bytes = loops_.SizeOf(record.device);
    if (loop_bytes != attempt.image_bytes) return Fail(EmptyLoop(record.device, loop_bytes));
    auto path = MountWithOptions(udisks, attempt);
    if (!path.has_value()) {
      if (path.error().code == ErrorCode::kNotFound) path.error().code = ErrorCode::kUnsupported;
      return Fail(path.error());
    }
    attempt.path = *path;
    record.link = *path;
    Status linked = attempt.save(record);
    if (linked.has_value()) linked = LinkMountPoint(record.point, *path);
    if (!linked.has_value()) {
      static_cast<void>(udisks.Unmount(record.object, Udisks::Force::kNo, Udisks::kLongCall));
      return linked;
    }
    if (!attempt.spec.read_only && !loops_.TakesDiscards(record.device)) {
      attempt.note = NoDiscards(record.device);
    }
    // If it cannot be, the device goes at the next close all the same.
    static_cast<void>(udisks.ClearAfterUse(record.object));
    return {};
  }

  const FileSystems& tools_;
  const LoopDevices& loops_;
  const ConnectUdisks connect_;
};

}  // namespace

std::unique_ptr<Way> NewUdisksWay(const FileSystems& tools, const LoopDevices& loops,
                                  ConnectUdisks connect) {
  return std::make_unique<UdisksWay>(tools, loops, std::move(connect));
}

}  // namespace coffer::mount
