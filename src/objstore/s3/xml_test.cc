#include "objstore/s3/xml.h"

#include <gtest/gtest.h>

namespace buoy::objstore::s3 {
namespace {

constexpr const char* kHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
constexpr const char* kSpace = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

std::string document(const std::string& root, const std::string& inside) {
  return kHead + ("<" + root + kSpace + ">") + inside + "</" + root + ">";
}

TEST(ParseError, TakesWhatThereIs) {
  const ErrorAnswer error = parseError(
      "<?xml version=\"1.0\"?><Error><Code>PermanentRedirect</Code><Message>a &amp; b</Message>"
      "<Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint><Region>eu-west-1</Region></Error>");
  EXPECT_EQ(error.code, "PermanentRedirect");
  EXPECT_EQ(error.message, "a & b");
  EXPECT_EQ(error.region, "eu-west-1");
  for (const char* other : {"", "no", "<html><Code>X</Code></html>", "{\"Code\":\"X\"}", "<Error"}) {
    EXPECT_EQ(parseError(other).code, "") << other;
  }
}

TEST(ParseListPage, TakesObjectsPrefixesAndTheToken) {
  const auto page = parseListPage(document(
      "ListBucketResult",
      "<Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>t+/=</NextContinuationToken>"
      "<Contents><Key>a</Key><LastModified>2026-11-21T05:00:00.123Z</LastModified>"
      "<ETag>&quot;e1&quot;</ETag><Size>0</Size></Contents>"
      "<Contents><Key>z</Key><Size>5497558138880</Size></Contents>"
      "<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>"));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->objects.size(), 2u);
  EXPECT_EQ(page->objects[0].key, "a");
  EXPECT_EQ(page->objects[0].etag, "\"e1\"");
  EXPECT_EQ(page->objects[0].modified, *parseTime("2026-11-21T05:00:00.123Z"));
  EXPECT_EQ(page->objects[1].size, 5497558138880u);
  EXPECT_EQ(page->prefixes, std::vector<std::string>{"d/"});
  EXPECT_EQ(page->next, "t+/=");
}

TEST(ParseListPage, DecodesKeysOnlyWhereTheyAreEncoded) {
  const std::string inside =
      "<Contents><Key>a+b%20c%01%0A%26%C3%BC%2B/d</Key></Contents>"
      "<CommonPrefixes><Prefix>x%2Fy+z/</Prefix></CommonPrefixes>";
  const auto encoded =
      parseListPage(document("ListBucketResult", "<EncodingType>url</EncodingType>" + inside)).value();
  EXPECT_EQ(encoded.objects.at(0).key, "a b c\x01\n&ü+/d");
  EXPECT_EQ(encoded.prefixes.at(0), "x/y z/");
  const auto plain = parseListPage(document("ListBucketResult", inside)).value();
  EXPECT_EQ(plain.objects.at(0).key, "a+b%20c%01%0A%26%C3%BC%2B/d");
  // A server that says "url" and does not encode.
  const auto wrong = parseListPage(document("ListBucketResult",
                                            "<EncodingType>url</EncodingType><Contents><Key>50%</Key>"
                                            "</Contents>"))
                         .value();
  EXPECT_EQ(wrong.objects.at(0).key, "50%");
}

TEST(ParseListPage, KeepsSpacesAndControlCharactersOfKeys) {
  const auto page = parseListPage(document("ListBucketResult",
                                           "<Contents><Key>  </Key></Contents><Contents><Key> a \x01"
                                           "&#x2;&#13;</Key></Contents><Contents><Key><![CDATA[<c>]]></Key>"
                                           "</Contents>"))
                        .value();
  ASSERT_EQ(page.objects.size(), 3u);
  EXPECT_EQ(page.objects[0].key, "  ");
  EXPECT_EQ(page.objects[1].key, " a \x01\x02\r");
  EXPECT_EQ(page.objects[2].key, "<c>");
}

TEST(ParseListPage, AnEmptyListingIsOne) {
  const auto page = parseListPage(document("ListBucketResult", "<IsTruncated>false</IsTruncated>"));
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->objects.empty() && page->prefixes.empty() && page->next.empty());
}

TEST(Answers, ThatAreSomethingElseAreRefused) {
  for (const std::string& body :
       {std::string(), std::string("ok"), std::string("<html></html>"), document("Other", ""),
        document("ListBucketResult", "").substr(0, 90), std::string("\0\0\0", 3)}) {
    EXPECT_EQ(parseListPage(body).error().code, ErrorCode::internal) << body;
    EXPECT_EQ(parseBuckets(body).error().code, ErrorCode::internal) << body;
    EXPECT_EQ(parseUploadId(body).error().code, ErrorCode::internal) << body;
    EXPECT_EQ(parsePartPage(body).error().code, ErrorCode::internal) << body;
    EXPECT_EQ(parseCopyResult(body).error().code, ErrorCode::internal) << body;
    EXPECT_EQ(parseDeleteResult(body).error().code, ErrorCode::internal) << body;
  }
  EXPECT_EQ(parseListPage(document("ListBucketResult", "<IsTruncated>true</IsTruncated>")).error().code,
            ErrorCode::internal)
      << "a page that goes on, nobody knows where";
  EXPECT_EQ(parseUploadId(document("InitiateMultipartUploadResult", "<Key>k</Key>")).error().code,
            ErrorCode::internal);
  // What a server finds out after it has said 200.
  const std::string error = "<Error><Code>InternalError</Code><Message>Try again</Message></Error>";
  for (const Error& said : {parseListPage(error).error(), parseCopyResult(error).error(),
                            parseDeleteResult(error).error(), parseUploadId(error).error()}) {
    EXPECT_EQ(said.code, ErrorCode::unavailable);
    EXPECT_TRUE(said.retryable);
    EXPECT_EQ(said.message, "InternalError: Try again");
  }
}

TEST(Answers, OfUploadsAndCopies) {
  EXPECT_EQ(parseUploadId(document("InitiateMultipartUploadResult", "<UploadId>2~x.y</UploadId>")).value(),
            "2~x.y");
  const PartPage page =
      parsePartPage(document("ListPartsResult",
                             "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>"
                             "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag><Size>8388608</Size>"
                             "<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>"
                             "<Part><PartNumber>2</PartNumber><ETag>\"b\"</ETag><Size>7</Size></Part>"))
          .value();
  ASSERT_EQ(page.parts.size(), 2u);
  EXPECT_EQ(page.parts[0].size, 8388608u);
  EXPECT_EQ(page.parts[0].crc32c, "AAAAAA==");
  EXPECT_EQ(page.parts[1].number, 2);
  EXPECT_EQ(page.parts[1].etag, "\"b\"");
  EXPECT_EQ(page.next_marker, "2");
  EXPECT_EQ(parseCopyResult(document("CopyObjectResult", "<ETag>\"c\"</ETag>")).value().etag, "\"c\"");
  const auto part =
      parseCopyResult(document("CopyPartResult", "<ETag>\"d\"</ETag><ChecksumCRC32C>c==</ChecksumCRC32C>"));
  ASSERT_TRUE(part);
  EXPECT_EQ(part->etag, "\"d\"");
  EXPECT_EQ(part->crc32c, "c==");
  EXPECT_EQ(parseBuckets(document("ListAllMyBucketsResult",
                                  "<Buckets><Bucket><Name>one</Name></Bucket><Bucket><Name>two</Name>"
                                  "</Bucket></Buckets>"))
                .value(),
            (std::vector<std::string>{"one", "two"}));
}

TEST(Answers, OfRemovingNameWhatIsLeft) {
  EXPECT_TRUE(parseDeleteResult(document("DeleteResult", "")).value().empty());
  const auto left = parseDeleteResult(document("DeleteResult",
                                               "<Deleted><Key>a</Key></Deleted><Error><Key>b</Key>"
                                               "<Code>AccessDenied</Code><Message>No</Message></Error>"
                                               "<Error><Key>c</Key><Code>NoSuchKey</Code></Error>"))
                        .value();
  ASSERT_EQ(left.size(), 1u) << "what is not there is as good as removed";
  EXPECT_EQ(left[0].key, "b");
  EXPECT_EQ(left[0].why.code, "AccessDenied");
  EXPECT_EQ(left[0].why.message, "No");
}

TEST(BringsError, GoesByTheRoot) {
  EXPECT_TRUE(bringsError("<Error><Code>X</Code></Error>"));
  EXPECT_TRUE(bringsError(" \n <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>X</Code></Error>"));
  EXPECT_FALSE(bringsError(document("DeleteResult", "<Error><Code>X</Code></Error>")));
  EXPECT_FALSE(bringsError("<Error></Error>"));
  EXPECT_FALSE(bringsError(""));
  EXPECT_FALSE(bringsError("   "));
}

TEST(Requests, EscapeWhatTheyName) {
  EXPECT_EQ(deleteXml({"a<b>&\"c'\r\n", " "}),
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
            "<Object><Key>a&lt;b&gt;&amp;\"c'&#13;\n</Key></Object><Object><Key> </Key></Object></Delete>");
  EXPECT_EQ(
      completeUploadXml({{1, 5, "\"a\"", "AAAAAA=="}, {2, 5, "\"b&\"", ""}}),
      "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>"
      "<Part><PartNumber>2</PartNumber><ETag>\"b&amp;\"</ETag></Part></CompleteMultipartUpload>");
}

TEST(Answers, MayBeNestedAsDeepAsTheyLike) {
  std::string deep = "<ListBucketResult>";
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_FALSE(parseListPage(deep));
  EXPECT_EQ(parseError(deep).code, "");
}

}  // namespace
}  // namespace buoy::objstore::s3
