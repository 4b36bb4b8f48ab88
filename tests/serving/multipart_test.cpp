#include "serving/multipart.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace yiti::serving {
namespace {

constexpr const char* kType = "multipart/form-data; boundary=XX";

TEST(Multipart, FindsFieldsAndFiles) {
  const std::string body =
      "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n"
      "--XX\r\ncontent-disposition: form-data; name=file; filename=\"a \\\"b\\\".jsonl\"\r\n"
      "Content-Type: application/octet-stream\r\n\r\nline\r\n--X\r\nend\r\n--XX--\r\n";
  const auto parts = parse_multipart(kType, body);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].name, "purpose");
  EXPECT_EQ(parts[0].contents, "fine-tune");
  EXPECT_EQ(parts[0].filename, "");
  EXPECT_EQ(parts[1].name, "file");
  EXPECT_EQ(parts[1].filename, "a \"b\".jsonl");
  EXPECT_TRUE(parts[1].contents.starts_with("line\r\n--X\r\n"));
}

TEST(Multipart, TakesAQuotedBoundaryAndAPreamble) {
  const auto parts =
      parse_multipart("multipart/form-data; charset=x; boundary=\"a b\"",
                      "hello\r\n--a b \r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n"
                      "\r\n--a b--");
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].contents, "");
}

TEST(Multipart, RefusesWhatIsMalformed) {
  const std::string head = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
  for (const std::string& body :
       {std::string(), std::string("--XX"), std::string("--XX\r\n"), std::string("--YY--"), head,
        head + "x", head + "x\r\n--XX", head + "x\r\n--XXjunk",
        std::string("--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--"),
        std::string("--XX\r\n\r\nx\r\n--XX--"),
        "--XX\r\nX: " + std::string(9000, 'a') + "\r\n\r\nx\r\n--XX--"}) {
    EXPECT_THROW(parse_multipart(kType, body), Error) << body;
  }
  const std::string fine = head + "x\r\n--XX--";
  EXPECT_EQ(parse_multipart(kType, fine).size(), 1U);
  for (const char* type : {"multipart/form-data", "multipart/form-data; boundary=",
                           "multipart/form-data; boundary", "x; y=z"}) {
    EXPECT_THROW(parse_multipart(type, fine), Error) << type;
  }
  EXPECT_THROW(parse_multipart("m; boundary=" + std::string(71, 'a'), fine), Error);
}

TEST(Multipart, RefusesPartsWithoutEnd) {
  std::string body;
  for (int i = 0; i < 33; ++i) body += "--XX\r\nContent-Disposition: f; name=a\r\n\r\nx\r\n";
  EXPECT_THROW(parse_multipart(kType, body + "--XX--"), Error);
}

}  // namespace
}  // namespace yiti::serving
