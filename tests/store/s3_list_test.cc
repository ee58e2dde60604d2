#include "core/store/s3_list.h"

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/store/xml.h"
#include "tests/support/result_macros.h"

namespace coffer::store {
namespace {

std::string Contents(const std::string& key) {
  return "<Contents><Key>" + key + "</Key><Size>7</Size></Contents>";
}

std::string Page(const std::string& inside, const std::string& truncated = "false") {
  return "<?xml version=\"1.0\"?>\n<ListBucketResult><IsTruncated>" + truncated + "</IsTruncated>" +
         inside + "</ListBucketResult>";
}

Result<S3ListPage> Parse(const std::string& body, const std::string& start_after = "") {
  return ParseS3List(AsBytes(body), {"p/", start_after, 3});
}

TEST(S3List, ReadsNamesSizesAndTimes) {
  ASSERT_OK_AND_ASSIGN(
      const S3ListPage page,
      Parse(Page("<Contents><Key>p/a&amp;&lt;</Key><LastModified>2009-10-12T17:50:30.000Z"
                 "</LastModified><Size>434234</Size></Contents>" +
                     Contents("p/b") + "<NextContinuationToken>t</NextContinuationToken>",
                 "true")));
  ASSERT_EQ(page.keys.size(), 2U);
  EXPECT_EQ(page.keys[0], (ListedObject{"p/a&<", 434234, 1255369830}));
  EXPECT_EQ(page.keys[1], (ListedObject{"p/b", 7, std::nullopt}));
  EXPECT_TRUE(page.truncated);
  EXPECT_EQ(page.continuation_token, "t");
}

TEST(S3List, KnowsTimes) {
  EXPECT_EQ(ParseIsoTime("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ParseIsoTime("2024-02-29T23:59:59.999Z"), 1709251199);
  for (const char* text :
       {"", "2024-02-30T00:00:00Z", "2024-02-29 00:00:00Z", "2024-02-29T24:00:00Z",
        "2024-02-29T00:00:00+01", "x024-02-29T00:00:00Z", "2024-02-29T00:00:00"}) {
    EXPECT_FALSE(ParseIsoTime(text).has_value()) << text;
  }
}

TEST(S3List, RefusesWhatWasNotAskedFor) {
  EXPECT_FAILS(Parse(Page(Contents("q/a"))), kUnsupported);
  EXPECT_FAILS(Parse(Page(Contents("p"))), kUnsupported);
  EXPECT_FAILS(Parse(Page(Contents("p/b")), "p/b"), kUnsupported);
  EXPECT_FAILS(Parse(Page(Contents("p/a")), "p/b"), kUnsupported);
}

TEST(S3List, RefusesNamesThatAreNotInOrderOrTwice) {
  EXPECT_FAILS(Parse(Page(Contents("p/b") + Contents("p/a"))), kUnsupported);
  EXPECT_FAILS(Parse(Page(Contents("p/a") + Contents("p/a"))), kUnsupported);
}

TEST(S3List, CutsAPageThatIsLongerThanAskedFor) {
  std::string contents;
  for (const char* key : {"p/a", "p/b", "p/c", "p/d", "p/e"}) contents += Contents(key);
  ASSERT_OK_AND_ASSIGN(const S3ListPage page, Parse(Page(contents)));
  EXPECT_EQ(page.keys.size(), 3U);
  EXPECT_TRUE(page.truncated);
}

TEST(S3List, RefusesWhatIsNoList) {
  for (const std::string& body :
       {std::string(), std::string("<html/>"), Page("<Contents><Key>p/a</Key></Contents>"),
        Page("<Contents><Size>1</Size></Contents>"), Page("", "maybe"),
        Page("<Contents><Key>p/a</Key><Size>-1</Size></Contents>"),
        Page(Contents("p/a")).substr(0, 90), std::string("<ListBucketResult/>")}) {
    EXPECT_FAILS(Parse(body), kUnavailable) << body;
  }
}

TEST(S3Delete, AsksAndReadsTheAnswerNameByName) {
  EXPECT_EQ(S3DeleteRequest({"a/b", "c<&"}),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Delete><Object><Key>a/b</Key></Object>"
            "<Object><Key>c&lt;&amp;</Key></Object></Delete>");
  ASSERT_OK_AND_ASSIGN(const S3DeleteOutcome outcome,
                       ParseS3Delete(AsBytes("<DeleteResult><Deleted><Key>a</Key></Deleted><Error>"
                                             "<Key>b</Key><Code>AccessDenied</Code>"
                                             "<Message>no</Message></Error></DeleteResult>")));
  EXPECT_EQ(outcome.deleted, std::set<std::string>{"a"});
  EXPECT_EQ(outcome.failed.at("b").code, "AccessDenied");
  EXPECT_EQ(outcome.failed.at("b").message, "no");
  EXPECT_FAILS(ParseS3Delete(AsBytes("<Error/>")), kUnavailable);
}

TEST(Xml, RefusesBombs) {
  EXPECT_FAILS(
      ParseXml(AsBytes("<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>")),
      kUnavailable);
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_FAILS(ParseXml(AsBytes(deep)), kUnavailable);
  EXPECT_FAILS(ParseXml(Bytes(kXmlBytesMax + 1, std::byte{' '})), kUnavailable);
}

TEST(Xml, ExpandsNoEntitiesButItsOwn) {
  ASSERT_OK_AND_ASSIGN(const XmlDocument document, ParseXml(AsBytes("<a><b>&x;&lt;&#65;</b></a>")));
  EXPECT_EQ(ChildText(RootOf(document), "b"), "&x;<A");
}

TEST(Xml, TakesWhatLooksDeepAndIsNot) {
  std::string text = "<a><!-- <b><b><b> --><![CDATA[<c><c>]]>";
  for (int i = 0; i < 100; ++i) text += "<d x='>'/><e></e>";
  ASSERT_OK_AND_ASSIGN(const XmlDocument document, ParseXml(AsBytes(text + "</a>")));
  EXPECT_EQ(LocalName(RootOf(document)), "a");
}

TEST(Xml, NamesAreLocalWhateverTheirPrefix) {
  ASSERT_OK_AND_ASSIGN(const XmlDocument document,
                       ParseXml(AsBytes("<D:a xmlns:D='DAV:'><x:b>t</x:b></D:a>")));
  EXPECT_EQ(LocalName(RootOf(document)), "a");
  EXPECT_EQ(ChildText(RootOf(document), "b"), "t");
  EXPECT_EQ(ChildText(RootOf(document), "c"), "");
}

}  // namespace
}  // namespace coffer::store
