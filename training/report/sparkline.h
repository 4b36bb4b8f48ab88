// A curve in one line of text.
#pragma once

#include <span>
#include <string>

namespace yiti {

/// `values` as at most `columns` block characters ▁ to █, lowest to highest; each character is the
/// mean of an equal part of the values. `unicode` false: characters from "_" to "#". Values that
/// are not finite are left out; a flat curve is drawn low.
std::string sparkline(std::span<const double> values, int columns, bool unicode = true);

}  // namespace yiti
