// Udisks over D-Bus (udisks2's reference manual, org.freedesktop.UDisks2.*). The only includer of
// sdbus-c++, whose exceptions end here.
#include <sdbus-c++/sdbus-c++.h>

#include <chrono>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/process.h"
#include "core/mount/udisks.h"

namespace coffer::mount {
namespace {

constexpr const char* kService = "org.freedesktop.UDisks2";
constexpr const char* kManagerPath = "/org/freedesktop/UDisks2/Manager";
constexpr const char* kManager = "org.freedesktop.UDisks2.Manager";
constexpr const char* kBlock = "org.freedesktop.UDisks2.Block";
constexpr const char* kLoop = "org.freedesktop.UDisks2.Loop";
constexpr const char* kFilesystem = "org.freedesktop.UDisks2.Filesystem";

/// udev looks at a new device and tells udisks: usually within 0.1 s.
constexpr int kSeenTries = 100;
constexpr std::chrono::milliseconds kSeenPause{50};

using Options = std::map<std::string, sdbus::Variant>;

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Error ErrorOf(const sdbus::Error& thrown, const std::string& what) {
  const std::string& name = thrown.getName();
  if (Contains(name, "NotAuthorized")) {
    return {ErrorCode::kUnsupported,
            "udisks2 does not allow " + what + " (polkit): " + thrown.getMessage(),
            "polkit allows it to whoever sits at the machine; for others a rule in "
            "/etc/polkit-1/rules.d can"};
  }
  // It may still do it.
  if (Contains(name, "NoReply") || Contains(name, "Timeout")) {
    return {ErrorCode::kUnavailable, what + ": udisks2 has not answered in time",
            "systemctl status udisks2 shows whether it works"};
  }
  for (const char* gone : {"ServiceUnknown", "NameHasNoOwner", "Spawn", "NoServer", "Disconnected",
                           "System.Error", "FileNotFound"}) {
    if (!Contains(name, gone)) continue;
    return {ErrorCode::kUnsupported, "udisks2 does not answer: " + thrown.getMessage(),
            "apt install udisks2"};
  }
  const ErrorCode code = Contains(name, "DeviceBusy") ? ErrorCode::kConflict : ErrorCode::kIoError;
  return {code, what + ": " + thrown.getMessage()};
}

/// The interface comes when udisks has seen what is on the device.
bool IsMissingInterface(const sdbus::Error& error) {
  return Contains(error.getName(), "UnknownMethod") ||
         Contains(error.getName(), "UnknownInterface") ||
         Contains(error.getName(), "UnknownObject");
}

class UdisksBus final : public Udisks {
 public:
  explicit UdisksBus(std::unique_ptr<sdbus::IConnection> connection)
      : connection_(std::move(connection)) {}

  Status Check() override {
    try {
      static_cast<void>(Proxy(kManagerPath)->getProperty("Version").onInterface(kManager));
      return {};
    } catch (const sdbus::Error& error) {
      Error why = ErrorOf(error, "asking udisks2 for its version");
      why.code = ErrorCode::kUnsupported;  // nothing has been begun: another way may do
      return Fail(std::move(why));
    }
  }

  Result<Loop> SetUpLoop(int image_fd, bool read_only) override {
    try {
      Options options = Quiet();
      options["no-part-scan"] = sdbus::Variant(true);
      options["read-only"] = sdbus::Variant(read_only);
      sdbus::ObjectPath object;
      Proxy(kManagerPath)
          ->callMethod("LoopSetup")
          .onInterface(kManager)
          .withTimeout(kLongCall)
          .withArguments(sdbus::UnixFd(image_fd), options)
          .storeResultsTo(object);
      const sdbus::Variant device = Proxy(object)->getProperty("Device").onInterface(kBlock);
      const auto bytes = device.get<std::vector<std::uint8_t>>();
      return Loop{object, std::string(bytes.begin(), bytes.end()).c_str()};
    } catch (const sdbus::Error& error) {
      return Fail(ErrorOf(error, "setting up a loop device"));
    }
  }

  Result<std::string> Mount(const std::string& object, const std::string& words) override {
    Options options = Quiet();
    if (!words.empty()) options["options"] = sdbus::Variant(words);
    for (int i = 0; i < kSeenTries; ++i) {
      try {
        std::string path;
        Proxy(object)
            ->callMethod("Mount")
            .onInterface(kFilesystem)
            .withTimeout(kLongCall)
            .withArguments(options)
            .storeResultsTo(path);
        return path;
      } catch (const sdbus::Error& error) {
        if (!IsMissingInterface(error)) return Fail(ErrorOf(error, "mounting"));
      }
      Pause(kSeenPause);
    }
    return Fail(ErrorCode::kNotFound, "udisks2 sees no file system on the loop device");
  }

  Status ClearAfterUse(const std::string& object) override {
    return Call(object, kLoop, "SetAutoclear", "letting go of the loop device", kLongCall, true,
                Quiet());
  }

  Status Unmount(const std::string& object, Force force, std::chrono::milliseconds limit) override {
    Options options = Quiet();
    if (force == Force::kLazily) options["force"] = sdbus::Variant(true);
    return Call(object, kFilesystem, "Unmount", "unmounting", limit, options);
  }

  Status DeleteLoop(const std::string& object, std::chrono::milliseconds limit) override {
    return Call(object, kLoop, "Delete", "detaching the loop device", limit, Quiet());
  }

 private:
  static Options Quiet() { return {{"auth.no_user_interaction", sdbus::Variant(true)}}; }

  [[nodiscard]] std::unique_ptr<sdbus::IProxy> Proxy(const std::string& object) const {
    return sdbus::createProxy(*connection_, kService, object);
  }

  template <class... Arguments>
  Status Call(const std::string& object, const char* interface, const char* method,
              const char* what, std::chrono::milliseconds limit, const Arguments&... arguments) {
    try {
      Proxy(object)->callMethod(method).onInterface(interface).withTimeout(limit).withArguments(
          arguments...);
      return {};
    } catch (const sdbus::Error& error) {
      // What is not mounted, or not there any more, is as it should be.
      if (Contains(error.getName(), "NotMounted") || IsMissingInterface(error)) return {};
      return Fail(ErrorOf(error, what));
    }
  }

  const std::unique_ptr<sdbus::IConnection> connection_;
};

}  // namespace

Result<std::unique_ptr<Udisks>> ConnectSystemUdisks() {
  try {
    return std::make_unique<UdisksBus>(sdbus::createSystemBusConnection());
  } catch (const sdbus::Error& error) {
    return Fail(ErrorCode::kUnsupported, "there is no system D-Bus: " + error.getMessage(),
                "apt install udisks2 dbus");
  }
}

}  // namespace coffer::mount
