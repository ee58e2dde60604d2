#include "core/base/line_text.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(LineText, AnyTextFitsOnALineAndComesBack) {
  std::string text = "a b%c\n\r\t\x7f\xc3\xa4";
  text.push_back('\0');
  const std::string line = EscapeForLine(text);
  EXPECT_EQ(line, "a b%25c%0a%0d%09%7f\xc3\xa4%00");
  EXPECT_EQ(UnescapeFromLine(line), text);
}

TEST(LineText, WhatIsNotEscapedRightIsRefused) {
  for (const char* text : {"%", "%2", "a%2", "%zz", "%%25"})
    EXPECT_EQ(UnescapeFromLine(text), std::nullopt) << text;
  EXPECT_EQ(UnescapeFromLine("%25"), "%");
}

TEST(LineText, TakesWordsOffTheFront) {
  std::string_view rest = "one  two";
  EXPECT_EQ(TakeUntil(rest, ' '), "one");
  EXPECT_EQ(TakeUntil(rest, ' '), "");
  EXPECT_EQ(TakeUntil(rest, ' '), "two");
  EXPECT_EQ(rest, "");
  EXPECT_EQ(TakeUntil(rest, ' '), "");
}

}  // namespace
}  // namespace coffer
