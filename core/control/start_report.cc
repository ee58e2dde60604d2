#include "core/control/start_report.h"

#include <algorithm>
#include <charconv>

#include "core/control/error_table.h"

namespace coffer::control {
namespace {

constexpr std::string_view kReady = "ok\n";
constexpr std::string_view kError = "error ";

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string_view TakeLine(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

}  // namespace

std::string EncodeStartReport(const StartReport& report) {
  if (report.ready) return std::string(kReady);
  return std::string(kError) + std::to_string(report.exit_code) + "\n" + OneLine(report.message) +
         "\n" + OneLine(report.hint) + "\n";
}

StartReport DecodeStartReport(std::string_view text) {
  StartReport report;
  if (text == kReady) {
    report.ready = true;
    return report;
  }
  report.exit_code = kExitFailed;
  report.message = "cofferd ended before it was ready";
  if (text.substr(0, kError.size()) != kError) return report;
  text.remove_prefix(kError.size());
  const std::string_view code = TakeLine(text);
  std::from_chars(code.data(), code.data() + code.size(), report.exit_code);
  report.message = TakeLine(text);
  report.hint = TakeLine(text);
  return report;
}

}  // namespace coffer::control
