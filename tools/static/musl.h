// glibc's names that musl spells otherwise; included before every file of the static build.
#pragma once
#include <string.h>
#define strerrordesc_np(number) strerror(number)
