// What commands print: tables for people, one JSON object with --json.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/control/message_json.h"

namespace coffer::cli {

/// A line on stdout; control characters and the like are made harmless.
void PrintLine(const std::string& line);

/// `message` as JSON on one line of stdout.
template <class Message>
void PrintJson(const Message& message) {
  const control::WipedString text = control::EncodeJson(message);
  PrintLine({text.data(), text.size()});
}

/// Columns as wide as their widest cell; a row of headings first.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void Print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// An error on stderr: for people, or as the API's error object, which also names the `holders`.
void ShowError(const Error& error, bool json, const std::vector<control::HolderInfo>& holders = {});

}  // namespace coffer::cli
