// What the kernels are told: feature maps and layers.
#pragma once

#include <cstdint>

enum Kind : int32_t { kConvolution, kAdd, kMaxPool, kMean, kDepthwise, kAveragePool };

struct Map {        // a feature map
  uint8_t* data;    // its first pixel, inside the border
  int64_t row;      // bytes from one row to the next
  int32_t height, width, channels;
  int32_t zero_point;  // of the uint8 values
};

extern "C" struct Layer {
  Kind kind;
  int32_t kernel[2], stride[2];
  int32_t before[2];             // padding above and to the left
  Map input, other, output;      // other: the second addend; data is null if there is none
  // Convolution. Arrays are padded with zeros to a whole number of blocks and ordered as Block says.
  int32_t steps;                 // vpdpbusd steps per kernel row
  const int8_t* weights;         // [block][kernel row][step][2 vectors][16 lanes][4]; of a
                                 // depthwise one [kernel row][kernel column][channel], no blocks
  const int32_t* bias;           // with the zero point's share already taken off
  const float* multiplier;
  int32_t zero_point, lo, hi;    // of the convolution's own result, as int8
  // Addition, alone or behind the convolution: int8 zero points and bounds.
  int32_t multiply[2], shift, add_zero_point, add_lo, add_hi;
  // Mean.
  float mean_multiplier, mean_offset;
};

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
