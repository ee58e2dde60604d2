#include "core/store/webdav_list.h"

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

std::string Response(const std::string& href, const std::string& inside) {
  return Concat("<D:response><D:href>", href, "</D:href>", inside, "</D:response>");
}
std::string Propstat(const std::string& prop, const std::string& status = "HTTP/1.1 200 OK") {
  return Concat("<D:propstat><D:prop>", prop, "</D:prop><D:status>", status,
                "</D:status></D:propstat>");
}
const std::string kCollection = Propstat("<D:resourcetype><D:collection/></D:resourcetype>");
const std::string kSelf = Response("/dav/u/", kCollection);

Result<std::vector<WebDavEntry>> Parse(const std::string& responses) {
  return ParseMultistatus(AsBytes(Concat("<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">",
                                         responses, "</D:multistatus>")),
                          "/dav/u");
}
std::vector<std::string> NamesIn(const std::string& responses) {
  const auto entries = Parse(responses);
  if (!entries.has_value()) return {TextOf(entries.error())};
  std::vector<std::string> names;
  for (const WebDavEntry& entry : *entries) names.push_back(entry.name);
  return names;
}
using Names = std::vector<std::string>;

TEST(ParseMultistatus, ReadsSizeTimeAndKind) {
  ASSERT_OK_AND_ASSIGN(
      const auto entries,
      Parse(kSelf +
            Response("/dav/u/a", Propstat("<D:resourcetype/><D:getcontentlength>42"
                                          "</D:getcontentlength><D:getlastmodified>Tue, 14 "
                                          "Nov 2023 22:13:20 GMT</D:getlastmodified>")) +
            Response("/dav/u/packs", kCollection)));
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_TRUE(entries[0].is_collection);
  EXPECT_EQ(entries[1].name, "a");
  EXPECT_FALSE(entries[1].is_collection);
  EXPECT_EQ(entries[1].size, 42U);
  EXPECT_EQ(entries[1].modified, 1'700'000'000);
  EXPECT_EQ(entries[2].name, "packs");
  EXPECT_TRUE(entries[2].is_collection);
}

TEST(ParseMultistatus, TakesPathsAndUrlsInAnyEscapes) {
  EXPECT_EQ(NamesIn(kSelf + Response("http://other.host/dav/u/a", kCollection) +
                    Response("/%64av/u/%62/", kCollection) + Response("\n /dav/u/c \n", "") +
                    Response("/dav/u/d%2Fe", "") + Response("/dav/u/%7e%C3%a4", "")),
            (Names{"", "a", "b", "c", "~\xc3\xa4"}));
}

TEST(ParseMultistatus, PassesOverWhatIsElsewhereOrBroken) {
  EXPECT_EQ(NamesIn(kSelf + Response("/dav/u/a/deep", "") + Response("/dav/u2", "") +
                    Response("/dav/", "") + Response("/", "") + Response("", "") +
                    Response("relative", "") + Response("/dav/u/%zz", "") +
                    Response("/dav/u/%4", "") + Response("/dav/u//x", "") +
                    Response("../../etc/passwd", "") + Response("http://", "")),
            (Names{""}));
}

TEST(ParseMultistatus, PassesOverWhatTheServerSaysIsNotThere) {
  EXPECT_EQ(NamesIn(kSelf + Response("/dav/u/gone", "<D:status>HTTP/1.1 404 Not Found</D:status>") +
                    Response("/dav/u/kept", "<D:status>HTTP/1.1 200 OK</D:status>")),
            (Names{"", "kept"}));
}

TEST(ParseMultistatus, BelievesPropertiesOfSuccessOnly) {
  ASSERT_OK_AND_ASSIGN(
      const auto entries,
      Parse(kSelf + Response("/dav/u/a", Propstat("<D:getcontentlength>7</D:getcontentlength>",
                                                  "HTTP/1.1 403 Forbidden"))));
  EXPECT_EQ(entries[1].size, 0U);
}

TEST(ParseMultistatus, NeedsNoPrefixOrAnother) {
  EXPECT_OK(ParseMultistatus(
      AsBytes("<multistatus xmlns=\"DAV:\"><response><href>/dav/u</href></response></multistatus>"),
      "/dav/u"));
  EXPECT_OK(ParseMultistatus(AsBytes("<lp1:multistatus "
                                     "xmlns:lp1=\"DAV:\"><lp1:response><lp1:href>/dav/u/</"
                                     "lp1:href></lp1:response></lp1:multistatus>"),
                             "/dav/u"));
}

TEST(ParseMultistatus, RefusesWhatIsNoListingOfThatPlace) {
  EXPECT_FAILS(Parse(""), kUnavailable);
  EXPECT_FAILS(Parse(Response("/other/place/", kCollection)), kUnavailable);
  EXPECT_FAILS(ParseMultistatus(AsBytes("<html><body/></html>"), "/dav/u"), kUnavailable);
  EXPECT_FAILS(ParseMultistatus(AsBytes(""), "/dav/u"), kUnavailable);
  EXPECT_FAILS(ParseMultistatus(AsBytes("<D:multistatus><D:response>"), "/dav/u"), kUnavailable);
}

TEST(ParseMultistatus, RefusesBombs) {
  EXPECT_FAILS(ParseMultistatus(AsBytes("<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b "
                                        "\"&a;&a;&a;\">]><multistatus>&b;</multistatus>"),
                                "/dav/u"),
               kUnavailable);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep.append("<a>");
  EXPECT_FAILS(ParseMultistatus(AsBytes(deep), "/dav/u"), kUnavailable);
  const std::string long_one(kMultistatusBytesMax + 1, ' ');
  EXPECT_FAILS(ParseMultistatus(AsBytes(long_one), "/dav/u"), kUnavailable);
}

TEST(ParseMultistatus, TakesAsManyAsADayOfHeads) {
  std::string many = kSelf;
  for (int i = 0; i < 20'000; ++i) many.append(Response(Concat("/dav/u/", i), Propstat("")));
  EXPECT_EQ(NamesIn(many).size(), 20'001U);
}

}  // namespace
}  // namespace coffer::store
