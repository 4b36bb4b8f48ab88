// What a call's error says.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"

namespace yiti {

/// The message of the Error that f() throws, which must have this code; a failure where it throws
/// none.
template <class F>
std::string message_of(F&& f, Code code) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "threw nothing";
  return "";
}

}  // namespace yiti
