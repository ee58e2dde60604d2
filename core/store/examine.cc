#include "core/store/examine.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/log.h"
#include "core/store/probe.h"

namespace coffer::store {
namespace {

constexpr std::string_view kMarker = "vault";  // as FORMAT.md names it
constexpr std::uint64_t kMarkerBytesMax = 64 << 10;
constexpr std::size_t kSmallBytes = 64;

double PerSecond(std::uint64_t bytes, Duration time) {
  const double seconds = std::chrono::duration<double>(time).count();
  return static_cast<double>(bytes) / std::max(seconds, 1e-6);
}

class Examiner {
 public:
  Examiner(ObjectStore& store, Clock& clock, Random& random, const ExamineOptions& options)
      : store_(store), clock_(clock), random_(random), options_(options) {
    std::array<std::byte, 16> id{};
    random_.Fill(id);
    small_name_ = Concat("probe/", ToHex(id));
    pack_name_ = Concat(small_name_, "-pack");
    result_.read_only = store_.capabilities().read_only;
  }

  StoreExamination Run() {
    if (Try("list", [this] { return List(); })) {
      Try("read", [this] { return Read(); });
      const bool written = !result_.read_only && Try("write", [this] { return Write(); });
      if (written) {
        Try("read back", [this] { return ReadBack(); });
        Try("list after write", [this] { return ListAfterWrite(); });
        Try("create only if absent", [this] { return Probe(); });
        Try("ranges", [this] { return Ranges(); });
        Try("a full pack", [this] { return FullPack(); });
        Try("delete", [this] { return DeleteBoth(); });
      }
    }
    SkipTheRest();
    TakeMedian();
    return std::move(result_);
  }

 private:
  struct Finding {
    CheckOutcome outcome = CheckOutcome::kOk;
    std::string detail = {};
  };
  static Finding Weak(std::string detail) { return {CheckOutcome::kWeak, std::move(detail)}; }

  template <class Request>
  auto Timed(const Request& request) -> decltype(request()) {
    const MonotonicTime begin = clock_.Now();
    auto answer = request();
    round_trips_.push_back(clock_.Now() - begin);
    return answer;
  }

  bool Try(const char* what, const std::function<Result<Finding>()>& check) {
    const Result<Finding> finding = check();
    StoreCheck& noted = result_.checks.emplace_back();
    noted.what = what;
    if (finding.has_value()) {
      noted.outcome = finding->outcome;
      noted.detail = finding->detail;
      return true;
    }
    noted.outcome = CheckOutcome::kFailed;
    noted.detail = finding.error().message;
    noted.error = finding.error();
    return false;
  }

  void SkipTheRest() {
    for (const char* what : {"read", "write", "read back", "list after write",
                             "create only if absent", "ranges", "a full pack", "delete"}) {
      const bool there = std::ranges::any_of(
          result_.checks, [&](const StoreCheck& check) { return check.what == what; });
      if (!there) {
        result_.checks.push_back(
            {.what = what, .detail = result_.read_only ? "the store is read-only" : ""});
      }
    }
  }

  Result<Finding> List() {
    ASSIGN_OR_RETURN(const ListPage page, Timed([&] { return store_.List(Reading(), "", "", 2); }));
    return Finding{.detail = page.objects.empty() ? "nothing there yet" : ""};
  }

  Result<Finding> Read() {
    const auto marker =
        Timed([&] { return store_.Get(Reading(), std::string(kMarker), kMarkerBytesMax); });
    result_.holds_vault = marker.has_value();
    if (marker.has_value()) return Finding{.detail = "it holds a vault"};
    if (marker.error().code == ErrorCode::kNotFound) return Finding{.detail = "no vault yet"};
    return Fail(marker.error());
  }

  Result<Finding> Write() {
    small_.resize(kSmallBytes);
    random_.Fill(small_);
    const UnixSeconds before = clock_.WallNow();
    const Status created =
        Timed([&] { return store_.Create(Writing(), small_name_, small_, ObjectClass::kControl); });
    if (!created.has_value()) {
      (void)store_.Delete(Writing(), small_name_);  // its reply may have been lost
      return Fail(created.error());
    }
    written_ = (before + clock_.WallNow()) / 2;
    return Finding{};
  }

  Result<Finding> ReadBack() {
    ASSIGN_OR_RETURN(const Bytes bytes,
                     Timed([&] { return store_.Get(Reading(), small_name_, kSmallBytes); }));
    if (bytes == small_) return Finding{};
    return Fail(ErrorCode::kCorruption, "an object came back with other bytes");
  }

  Result<Finding> ListAfterWrite() {
    ASSIGN_OR_RETURN(const ListPage page,
                     Timed([&] { return store_.List(Reading(), small_name_, "", 1); }));
    if (page.objects.empty() || page.objects.front().name != small_name_)
      return Weak("an object that was just made is not listed");
    if (page.objects.front().modified)
      result_.clock_difference = *page.objects.front().modified - written_;
    return Finding{};
  }

  /// What a vault will go by, so that there is one verdict.
  Result<Finding> Probe() {
    ASSIGN_OR_RETURN(ProbeReport report, ProbeStore(store_, random_));
    if (report.strength == StoreStrength::kWeak) return Weak(std::move(report.reason));
    return Finding{.detail = "safe for several machines"};
  }

  Result<Finding> Ranges() {
    constexpr std::uint64_t kOffset = 7;
    constexpr std::uint64_t kLength = 9;
    ASSIGN_OR_RETURN(const Bytes part, Timed([&] {
                       return store_.GetRange(Reading(), small_name_, kOffset, kLength);
                     }));
    if (!std::ranges::equal(part, ByteView(small_).subspan(kOffset, kLength)))
      return Fail(ErrorCode::kCorruption, "a range came back with other bytes");
    ASSIGN_OR_RETURN(const Bytes rest,
                     store_.GetRange(Reading(), small_name_, kOffset, 2 * kSmallBytes));
    if (!std::ranges::equal(rest, ByteView(small_).subspan(kOffset)))
      return Fail(ErrorCode::kCorruption, "a range beyond the end came back with other bytes");
    return Finding{.detail = store_.capabilities().ranges ? "" : "they move whole objects"};
  }

  Result<Finding> FullPack() {
    Bytes pack(options_.pack_bytes);
    random_.Fill(pack);
    MonotonicTime begin = clock_.Now();
    RETURN_IF_ERROR(store_.Create(Writing(), pack_name_, pack, ObjectClass::kData));
    result_.up_bytes_per_second = PerSecond(pack.size(), clock_.Now() - begin);
    begin = clock_.Now();
    ASSIGN_OR_RETURN(const Bytes back, store_.Get(Reading(), pack_name_, pack.size()));
    result_.down_bytes_per_second = PerSecond(pack.size(), clock_.Now() - begin);
    if (back == pack) return Finding{};
    return Fail(ErrorCode::kCorruption, "a pack came back with other bytes");
  }

  Result<Finding> DeleteBoth() {
    const Status pack = store_.Delete(Writing(), pack_name_);
    RETURN_IF_ERROR(Timed([&] { return store_.Delete(Writing(), small_name_); }));
    if (!pack.has_value() && pack.error().code != ErrorCode::kNotFound) return Fail(pack.error());
    ASSIGN_OR_RETURN(const ListPage page, store_.List(Reading(), small_name_, "", 1));
    if (!page.objects.empty()) return Weak("an object that was just deleted is still listed");
    return Finding{};
  }

  void TakeMedian() {
    if (round_trips_.empty()) return;
    const auto middle = round_trips_.begin() + static_cast<std::ptrdiff_t>(round_trips_.size() / 2);
    std::nth_element(round_trips_.begin(), middle, round_trips_.end());
    result_.round_trip = *middle;
  }

  ObjectStore& store_;
  Clock& clock_;
  Random& random_;
  const ExamineOptions& options_;
  std::string small_name_;
  std::string pack_name_;
  Bytes small_;
  UnixSeconds written_ = 0;
  std::vector<Duration> round_trips_;
  StoreExamination result_;
};

}  // namespace

bool StoreExamination::Has(CheckOutcome outcome) const {
  return std::ranges::any_of(checks,
                             [&](const StoreCheck& check) { return check.outcome == outcome; });
}

StoreExamination ExamineStore(ObjectStore& store, Clock& clock, Random& random,
                              const ExamineOptions& options) {
  return Examiner(store, clock, random, options).Run();
}

}  // namespace coffer::store
