// What the kernels are told, feature maps and layers: layout.py declares Kind, Map and Layer.
#pragma once

#include <cstdint>

namespace {

const uint8_t* pixel(const Map& map, int y, int x) {
  return map.data + y * map.row + int64_t{x} * map.channels;
}
uint8_t* writable(const Map& map, int y, int x) {
  return const_cast<uint8_t*>(pixel(map, y, x));
}

struct Range { int first, end; };
Range share(int total, int part, int parts) {
  return {int(int64_t{total} * part / parts), int(int64_t{total} * (part + 1) / parts)};
}

}  // namespace
