#include "cli/progress.h"

#include <algorithm>
#include <cmath>

#include "core/base/log.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

constexpr double kSettleSeconds = 1;  // before that there is no rate
constexpr double kSmoothSeconds = 5;
constexpr double kLeftSecondsMax = 99 * 3600;
constexpr std::size_t kBarMin = 10;
constexpr std::size_t kBarMax = 40;

double SecondsBetween(MonotonicTime from, MonotonicTime to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string Amount(const control::JobInfo& job, std::uint64_t amount) {
  return job.unit == "bytes" ? control::FormatBytes(amount) : std::to_string(amount);
}

std::string AmountsText(const control::JobInfo& job, double per_second) {
  std::string text = Amount(job, job.done) + " of " + Amount(job, job.total);
  if (job.unit != "bytes") text.append(" ").append(job.unit);
  if (per_second < 1 || job.done >= job.total) return text;
  text.append("  ").append(Amount(job, static_cast<std::uint64_t>(per_second))).append("/s");
  const double left = static_cast<double>(job.total - job.done) / per_second;
  if (left > kLeftSecondsMax) return text;
  return text.append("  ").append(DurationText(static_cast<std::uint64_t>(std::ceil(left)))) +
         " left";
}

std::string Bar(std::size_t percent, std::size_t width) {
  const std::size_t inside = width - 2;
  const std::size_t filled = inside * percent / 100;
  std::string bar(filled, '#');
  bar.resize(inside, ' ');
  return "[" + bar + "]";
}

}  // namespace

void RateMeter::Note(MonotonicTime now, std::uint64_t done) {
  if (!started_ || done < last_done_) {
    *this = RateMeter();
    started_ = true;
    since_ = last_ = now;
    last_done_ = done;
    return;
  }
  const double seconds = SecondsBetween(last_, now);
  if (seconds <= 0 || SecondsBetween(since_, now) < kSettleSeconds) return;
  const double sample = static_cast<double>(done - last_done_) / seconds;
  const double weight = per_second_ > 0 ? 1 - std::exp(-seconds / kSmoothSeconds) : 1;
  per_second_ += (sample - per_second_) * weight;
  last_ = now;
  last_done_ = done;
}

std::string DurationText(std::uint64_t seconds) {
  const auto two = [](std::uint64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  const std::uint64_t minutes = seconds / 60;
  if (minutes < 60) return std::to_string(minutes) + ":" + two(seconds % 60);
  return std::to_string(minutes / 60) + ":" + two(minutes % 60) + ":" + two(seconds % 60);
}

std::string ProgressText(const control::JobInfo& job, double per_second, std::size_t columns) {
  std::string head = job.kind;
  if (!job.volume.empty()) head.append(" ").append(job.volume);
  if (!job.message.empty()) head.append(": ").append(job.message);
  head = EscapeForTerminal(head);
  if (job.total > 0) {
    const auto percent =
        static_cast<std::size_t>(100.0 * static_cast<double>(std::min(job.done, job.total)) /
                                 static_cast<double>(job.total));
    std::string number = std::to_string(percent) + "%";
    number.insert(0, 4 - number.size(), ' ');
    const std::string amounts = AmountsText(job, per_second);
    head.append(" ").append(number).append(" ");
    const std::size_t used = head.size() + 1 + amounts.size();
    if (used + kBarMin <= columns) {
      head.append(Bar(percent, std::min(columns - used, kBarMax))).append(" ");
    }
    head.append(amounts);
  }
  if (head.size() > columns) head.resize(columns);
  return head;
}

void JobProgress::Show(const control::JobInfo& job) {
  if (!line_.on_terminal()) return;
  rate_.Note(clock_.Now(), job.done);
  line_.Show(ProgressText(job, rate_.per_second(), line_.columns()));
}

}  // namespace coffer::cli
