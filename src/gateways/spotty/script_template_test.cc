#include "gateways/spotty/script_template.h"

#include <gtest/gtest.h>

namespace buoy::gateways::spotty {
namespace {

using Values = std::map<std::string, std::string>;

struct Rendering {
  const char* script;
  Values parameters;
  const char* text;
};

TEST(ScriptTemplate, Renders) {
  const Rendering table[] = {
      {"#!\n{{A}}|{{ A }}|{{{A}}}|{{& A}}",
       {{"A", "x && y < \"z\""}},
       "#!\nx && y < \"z\"|x && y < \"z\"|x && y < \"z\"|x && y < \"z\""},
      {"#!\n[{{MISSING}}]", {}, "#!\n[]"},
      {"#!\n{{! nothing to see }}end", {}, "#!\nend"},
      {"#!\n{{=<% %>=}}{{A}}<% A %><%={{ }}=%>{{A}}", {{"A", "1"}}, "#!\n{{A}}11"},
      {"#!\nfor {{{A}}}} {", {{"A", "1"}}, "#!\nfor 1} {"},
      {"#!\n${A} {A} } }}", {}, "#!\n${A} {A} } }}"},
      {"echo hi", {}, "#!/usr/bin/env bash\n\nset -xe\n\necho hi"},
      {"#!/bin/sh\necho hi", {}, "#!/bin/sh\necho hi"},
  };
  for (const Rendering& row : table) {
    const auto text = renderScript(row.script, row.parameters);
    ASSERT_TRUE(text) << row.script << ": " << text.error().message;
    EXPECT_EQ(*text, row.text);
  }
}

TEST(ScriptTemplate, RefusesWhatItIsNot) {
  const Rendering table[] = {
      {"a\n{{A", {}, "line 2 of the script: '{{' without the '}}'"},
      {"{{#A}}x{{/A}}", {}, "variables only"},
      {"{{^A}}", {}, "variables only"},
      {"{{>A}}", {}, "variables only"},
      {"{{=<%=}}", {}, "a change of the delimiters"},
      {"{{={ } }=}}", {}, "a change of the delimiters"},
      {"echo", {{"LR", "1"}}, "has no parameter 'LR'; it has none"},
      {"{{RATE}}", {{"RAET", "1"}}, "did you mean 'RATE'"},
  };
  for (const Rendering& row : table) {
    const auto text = renderScript(row.script, row.parameters);
    ASSERT_FALSE(text) << row.script;
    EXPECT_NE(text.error().message.find(row.text), std::string::npos) << text.error().message;
  }
}

TEST(ScriptTemplate, ReadsParameters) {
  EXPECT_EQ(*parseParameter("LR=0.1=x"), (std::pair<std::string, std::string>{"LR", "0.1=x"}));
  EXPECT_EQ(parseParameter("EMPTY=")->second, "");
  EXPECT_FALSE(parseParameter("LR"));
  EXPECT_FALSE(parseParameter("=1"));
}

}  // namespace
}  // namespace buoy::gateways::spotty
