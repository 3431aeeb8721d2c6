// Faults of a check that only show once all of its keys have been read. Pure.
#pragma once

#include "conf/errors.hpp"
#include "conf/warnings.hpp"

namespace vipd {
struct CheckConfig;
}

namespace vipd::conf {

// Adds the faults of the check, which was first named at that place.
void judge(const CheckConfig& check, const Position& first, const GivenAt& given_at,
           Errors* errors);

}  // namespace vipd::conf
