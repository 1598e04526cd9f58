// The integer contract (docs/numerics.md) for CPUs with AVX512-VNNI.
//
// Feature maps are uint8, each value 128 above its int8 (vpdpbusd multiplies unsigned by signed),
// NHWC, with a border of the zero point wide enough for whoever reads them: no kernel looks at
// padding. A convolution is, for each kernel row, one run of kernel width * channels consecutive
// bytes. Nothing saturates on the way: vpdpbusd wraps like the contract's int32 accumulator.
//
// Compile without contraction of floating point: the contract rounds after every operation.

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr int kGroup = 7;      // pixels of one row whose sums are kept in registers together
constexpr int kChannels = 32;  // output channels of a block: two vectors of int32
constexpr int kStep = 4;       // bytes that one vpdpbusd lane multiplies and adds

enum Kind : int32_t { kConvolution, kAdd, kMaxPool, kMean, kDepthwise, kAveragePool };

struct Map {        // a feature map
  uint8_t* data;    // its first pixel, inside the border
  int64_t row;      // bytes from one row to the next
  int32_t height, width, channels;
  int32_t zero_point;  // of the uint8 values
};

}  // namespace

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

// What one block needs after its sums, in registers or near them.
struct Finish {
  __m512 multiplier[2];
  __m512 low, high;  // bounds of the result less its zero point
  __m512i zero_point, lo;  // int16, as uint8 values
  __m512i multiply[2], constant, add_lo, add_hi, add_zero_point;
  __m128i shift;
};

Finish finish_for(const Layer& l, int block) {
  Finish f;
  for (int v = 0; v < 2; v++)
    f.multiplier[v] = _mm512_loadu_ps(l.multiplier + block * kChannels + v * 16);
  f.low = _mm512_set1_ps(float(l.lo - l.zero_point));
  f.high = _mm512_set1_ps(float(l.hi - l.zero_point));
  f.zero_point = _mm512_set1_epi16(int16_t(l.zero_point + 128));
  f.lo = _mm512_set1_epi16(int16_t(l.lo + 128));
  if (l.other.data) {
    f.multiply[0] = _mm512_set1_epi32(l.multiply[0]);
    f.multiply[1] = _mm512_set1_epi32(l.multiply[1]);
    f.constant = _mm512_set1_epi32((1 << (l.shift - 1)) - l.multiply[1] * l.other.zero_point);
    f.shift = _mm_cvtsi32_si128(l.shift);
    f.add_zero_point = _mm512_set1_epi16(int16_t(l.add_zero_point + 128));
    f.add_lo = _mm512_set1_epi16(int16_t(l.add_lo + 128));
    f.add_hi = _mm512_set1_epi16(int16_t(l.add_hi + 128));
  }
  return f;
}

// Sums of one pixel to uint8. packs interleaves its operands by groups of four channels, and Layer's
// order of channels in a block undoes that.
template <bool kFused>
__m256i finish(const Finish& f, __m512i sum0, __m512i sum1, __m256i other) {
  __m512 scaled0 = _mm512_mul_ps(_mm512_cvtepi32_ps(sum0), f.multiplier[0]);
  __m512 scaled1 = _mm512_mul_ps(_mm512_cvtepi32_ps(sum1), f.multiplier[1]);
  // Bounds are whole numbers, so that clamping before rounding gives the same; above, it has to be
  // before, as the conversion turns what does not fit into INT_MIN.
  scaled0 = _mm512_min_ps(scaled0, f.high);
  scaled1 = _mm512_min_ps(scaled1, f.high);
  if (!kFused) {
    __m512i both = _mm512_packs_epi32(_mm512_cvtps_epi32(scaled0), _mm512_cvtps_epi32(scaled1));
    both = _mm512_max_epi16(_mm512_adds_epi16(both, f.zero_point), f.lo);
    return _mm512_cvtepi16_epi8(both);
  }
  __m512i value0 = _mm512_cvtps_epi32(_mm512_max_ps(scaled0, f.low));
  __m512i value1 = _mm512_cvtps_epi32(_mm512_max_ps(scaled1, f.low));
  const __m512i wide = _mm512_cvtepu8_epi16(other), zero = _mm512_setzero_si512();
  __m512i other0 = _mm512_unpacklo_epi16(wide, zero), other1 = _mm512_unpackhi_epi16(wide, zero);
  auto total = [&](__m512i value, __m512i addend) {
    __m512i a = _mm512_mullo_epi32(value, f.multiply[0]);
    __m512i b = _mm512_mullo_epi32(addend, f.multiply[1]);
    return _mm512_sra_epi32(_mm512_add_epi32(_mm512_add_epi32(a, b), f.constant), f.shift);
  };
  __m512i both = _mm512_packs_epi32(total(value0, other0), total(value1, other1));
  both = _mm512_adds_epi16(both, f.add_zero_point);
  return _mm512_cvtepi16_epi8(_mm512_min_epi16(_mm512_max_epi16(both, f.add_lo), f.add_hi));
}

// kPixels pixels of each of kRuns rows, for one block of channels.
template <int kRuns, int kPixels, bool kFused>
void tile(const Layer& l, const Finish& f, int block, const int (&ys)[2], const int (&xs)[2],
          const int8_t*& ahead, const int8_t* ahead_end) {
  const int64_t pitch = int64_t{l.stride[1]} * l.input.channels;
  const uint8_t* in[2];
  for (int r = 0; r < kRuns; r++)
    in[r] = pixel(l.input, ys[r] * l.stride[0] - l.before[0], xs[r] * l.stride[1] - l.before[1]);
  __m512i sums[kRuns][kPixels][2];
  for (int v = 0; v < 2; v++) {
    const __m512i bias = _mm512_loadu_si512(l.bias + block * kChannels + v * 16);
    for (int r = 0; r < kRuns; r++)
      for (int i = 0; i < kPixels; i++) sums[r][i][v] = bias;
  }
  const int8_t* w = l.weights + int64_t{block} * l.kernel[0] * l.steps * kChannels * kStep;
  for (int row = 0; row < l.kernel[0]; row++) {
    const uint8_t* a0 = in[0] + row * l.input.row;
    const uint8_t* a1 = kRuns > 1 ? in[1] + row * l.input.row : a0;
    for (int step = 0; step < l.steps; step++) {
      const __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
      w += kChannels * kStep;
      if (ahead < ahead_end) {
        _mm_prefetch(ahead, _MM_HINT_T1);
        ahead += 64;
      }
#pragma GCC unroll 7
      for (int i = 0; i < kPixels; i++) {
        int32_t four;
        std::memcpy(&four, a0 + i * pitch, kStep);
        const __m512i x = _mm512_set1_epi32(four);
        sums[0][i][0] = _mm512_dpbusd_epi32(sums[0][i][0], x, w0);
        sums[0][i][1] = _mm512_dpbusd_epi32(sums[0][i][1], x, w1);
      }
      a0 += kStep;
      if (kRuns > 1) {
#pragma GCC unroll 7
        for (int i = 0; i < kPixels; i++) {
          int32_t four;
          std::memcpy(&four, a1 + i * pitch, kStep);
          const __m512i x = _mm512_set1_epi32(four);
          sums[1][i][0] = _mm512_dpbusd_epi32(sums[1][i][0], x, w0);
          sums[1][i][1] = _mm512_dpbusd_epi32(sums[1][i][1], x, w1);
        }
        a1 += kStep;
      }
    }
  }
  const int channel = block * kChannels;
  const int left = l.output.channels - channel;
  const __mmask32 mask = left >= kChannels ? ~0u : (1u << left) - 1;
  for (int r = 0; r < kRuns; r++) {
    uint8_t* out = writable(l.output, ys[r], xs[r]) + channel;
    const uint8_t* other = kFused ? pixel(l.other, ys[r], xs[r]) + channel : nullptr;
    for (int i = 0; i < kPixels; i++) {
      __m256i addend = _mm256_setzero_si256();
      if (kFused) addend = _mm256_maskz_loadu_epi8(mask, other + int64_t{i} * l.other.channels);
      const __m256i value = finish<kFused>(f, sums[r][i][0], sums[r][i][1], addend);
      _mm256_mask_storeu_epi8(out + int64_t{i} * l.output.channels, mask, value);
    }
  }
}

struct Range { int first, end; };
Range share(int total, int part, int parts) {
  return {int(int64_t{total} * part / parts), int(int64_t{total} * (part + 1) / parts)};
}

// One block of channels over some rows. Meanwhile the weights [ahead, ahead_end) come from memory.
template <int kPixels, bool kFused>
void convolve(const Layer& l, int block, Range rows, const int8_t* ahead, const int8_t* ahead_end) {
  const Finish f = finish_for(l, block);
  const int width = l.output.width;
  int ys[2], xs[2], waiting = 0;
  for (int y = rows.first; y < rows.end; y++)
    for (int x = 0; x < width; x += kPixels) {
      ys[waiting] = y;
      xs[waiting] = std::min(x, width - kPixels);  // the last run overlaps the one before
      if (++waiting == 2) {
        tile<2, kPixels, kFused>(l, f, block, ys, xs, ahead, ahead_end);
        waiting = 0;
      }
    }
  if (waiting) tile<1, kPixels, kFused>(l, f, block, ys, xs, ahead, ahead_end);
}

template <bool kFused>
void convolve(const Layer& l, int block, Range rows, const int8_t* ahead, const int8_t* ahead_end) {
  switch (std::min(l.output.width, kGroup)) {
    case 1: return convolve<1, kFused>(l, block, rows, ahead, ahead_end);
    case 2: return convolve<2, kFused>(l, block, rows, ahead, ahead_end);
    case 3: return convolve<3, kFused>(l, block, rows, ahead, ahead_end);
    case 4: return convolve<4, kFused>(l, block, rows, ahead, ahead_end);
    case 5: return convolve<5, kFused>(l, block, rows, ahead, ahead_end);
    case 6: return convolve<6, kFused>(l, block, rows, ahead, ahead_end);
    default: return convolve<7, kFused>(l, block, rows, ahead, ahead_end);
  }
}

void add_row(const Layer& l, int y) {
  const int n = l.output.width * l.output.channels;
  const uint8_t *a = pixel(l.input, y, 0), *b = pixel(l.other, y, 0);
  uint8_t* out = writable(l.output, y, 0);
  for (int i = 0; i < n; i++) {
    const int32_t total = (1 << (l.shift - 1)) + l.multiply[0] * (a[i] - l.input.zero_point) +
                          l.multiply[1] * (b[i] - l.other.zero_point);
    const int32_t value = (total >> l.shift) + l.add_zero_point;
    out[i] = uint8_t(std::clamp(value, l.add_lo, l.add_hi) + 128);
  }
}

void max_pool_row(const Layer& l, int y) {
  const int channels = l.output.channels;
  for (int x = 0; x < l.output.width; x++) {
    uint8_t* out = writable(l.output, y, x);
    const int top = y * l.stride[0] - l.before[0], left = x * l.stride[1] - l.before[1];
    std::memset(out, 0, channels);
    for (int v = std::max(top, 0); v < std::min(top + l.kernel[0], l.input.height); v++)
      for (int u = std::max(left, 0); u < std::min(left + l.kernel[1], l.input.width); u++) {
        const uint8_t* in = pixel(l.input, v, u);
        for (int c = 0; c < channels; c++) out[c] = std::max(out[c], in[c]);
      }
  }
}

// Channels one by one: the compiler makes vectors of the loops over them.
void depthwise_row(const Layer& l, int y) {
  const int channels = l.output.channels;
  std::vector<int32_t> sums(channels);
  for (int x = 0; x < l.output.width; x++) {
    std::copy(l.bias, l.bias + channels, sums.begin());
    const int8_t* w = l.weights;
    for (int v = 0; v < l.kernel[0]; v++)
      for (int u = 0; u < l.kernel[1]; u++, w += channels) {
        const uint8_t* in = pixel(l.input, y * l.stride[0] - l.before[0] + v,
                                  x * l.stride[1] - l.before[1] + u);
        int32_t* sum = sums.data();
        for (int c = 0; c < channels; c++) sum[c] += in[c] * w[c];
      }
    uint8_t* out = writable(l.output, y, x);
    const float low = l.lo - l.zero_point, high = l.hi - l.zero_point;
    for (int c = 0; c < channels; c++) {
      const float scaled = std::min(std::max(float(sums[c]) * l.multiplier[c], low), high);
      out[c] = uint8_t(int(std::nearbyint(scaled)) + l.zero_point + 128);
    }
  }
}

void average_pool_row(const Layer& l, int y) {
  const int channels = l.output.channels;
  std::vector<int32_t> sums(channels);
  for (int x = 0; x < l.output.width; x++) {
    const int top = y * l.stride[0] - l.before[0], left = x * l.stride[1] - l.before[1];
    const int top_in = std::max(top, 0), bottom_in = std::min(top + l.kernel[0], l.input.height);
    const int left_in = std::max(left, 0), right_in = std::min(left + l.kernel[1], l.input.width);
    const int count = (bottom_in - top_in) * (right_in - left_in);
    std::fill(sums.begin(), sums.end(), -128 * count);
    for (int v = top_in; v < bottom_in; v++)
      for (int u = left_in; u < right_in; u++) {
        const uint8_t* in = pixel(l.input, v, u);
        for (int c = 0; c < channels; c++) sums[c] += in[c];
      }
    uint8_t* out = writable(l.output, y, x);
    for (int c = 0; c < channels; c++) {
      const int half = sums[c] > 0 ? count / 2 : -(count / 2);
      out[c] = uint8_t((sums[c] + half) / count + 128);
    }
  }
}

void mean_of(const Layer& l, Range channels) {
  const int32_t pixels = l.input.height * l.input.width;
  std::vector<int32_t> sums(channels.end - channels.first, -128 * pixels);
  for (int y = 0; y < l.input.height; y++)
    for (int x = 0; x < l.input.width; x++) {
      const uint8_t* in = pixel(l.input, y, x) + channels.first;
      for (size_t c = 0; c < sums.size(); c++) sums[c] += in[c];
    }
  for (size_t c = 0; c < sums.size(); c++) {
    const float real = float(sums[c]) * l.mean_multiplier + l.mean_offset;
    l.output.data[channels.first + c] =
        uint8_t(int(std::nearbyint(std::clamp(real, -128.f, 127.f))) + 128);
  }
}

// A layer cut into units that any thread may do, in any order. The share of a thread is a run of
// them: in a convolution the blocks of some rows, because a thread then reads what it wrote in the
// layer before, or just some blocks if rows are few.
struct Plan {
  const Layer* layer;
  int parts, blocks, pieces, units;
  const Plan* next = nullptr;  // the next convolution

  Plan(const Layer& l, int threads) : layer(&l), parts(threads) {
    blocks = (l.output.channels + kChannels - 1) / kChannels;
    const bool by_rows = l.output.height >= 4 * threads && threads > 1;
    pieces = by_rows ? threads * std::max(1, kUnitsPerShare / blocks) : 1;
    pieces = std::min(pieces, l.output.height);
    if (l.kind == kConvolution) units = pieces * blocks;
    else units = l.kind == kMean ? threads : l.output.height;
  }

  Range share_of(int part) const { return share(units, part, parts); }

  void run(int unit, int part) const {
    const Layer& l = *layer;
    switch (l.kind) {
      case kConvolution: return convolution(unit, part);
      case kAdd: return add_row(l, unit);
      case kMaxPool: return max_pool_row(l, unit);
      case kDepthwise: return depthwise_row(l, unit);
      case kAveragePool: return average_pool_row(l, unit);
      case kMean: return mean_of(l, share(l.output.channels, unit, units));
    }
  }

 private:
  static constexpr int kUnitsPerShare = 8;

  int64_t block_bytes() const {
    return int64_t{layer->kernel[0]} * layer->steps * kChannels * kStep;
  }

  void convolution(int unit, int part) const {
    const bool last = unit + 1 >= share_of(part).end;
    const Plan* from = last ? next : this;
    const int8_t *ahead = nullptr, *ahead_end = nullptr;
    if (from) {
      const int block = (last ? from->share_of(part).first : unit + 1) % from->blocks;
      ahead = from->layer->weights + block * from->block_bytes();
      ahead_end = ahead + from->block_bytes();
    }
    const Range rows = share(layer->output.height, unit / blocks, pieces);
    if (layer->other.data) convolve<true>(*layer, unit % blocks, rows, ahead, ahead_end);
    else convolve<false>(*layer, unit % blocks, rows, ahead, ahead_end);
  }
};

// Units of one layer: which are taken from each share, and how many are done. What is taken carries
// the number of the run, so that a thread that comes late to a run takes nothing of the next.
struct Progress {
  struct alignas(64) Taken { std::atomic<uint64_t> value{0}; };
  std::vector<Taken> taken;
  alignas(64) std::atomic<int> done{0};
  explicit Progress(int parts) : taken(parts) {}
};

// Layers in order. A layer begins when all units of the one before are done; a thread that has done
// its share helps the others, so that one without a processor holds up nobody for long.
class Machine {
 public:
  Machine(const Layer* layers, int count, int threads)
      : layers_(layers, layers + count), threads_(threads) {
    for (const Layer& layer : layers_) plans_.emplace_back(layer, threads);
    for (int i = count - 2; i >= 0; i--)
      plans_[i].next = plans_[i + 1].layer->kind == kConvolution ? &plans_[i + 1] : plans_[i + 1].next;
    for (int i = 0; i < count; i++) progress_.emplace_back(threads);
    for (int part = 1; part < threads; part++)
      workers_.emplace_back([this, part] { work(part); });
  }

  ~Machine() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  void run() {
    uint64_t run;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      run = run_.load(std::memory_order_relaxed) + 1;
      for (size_t i = 0; i < plans_.size(); i++) {
        progress_[i].done.store(0, std::memory_order_relaxed);
        for (int part = 0; part < threads_; part++)
          progress_[i].taken[part].value.store(run << 32 | plans_[i].share_of(part).first,
                                               std::memory_order_relaxed);
      }
      run_.store(run, std::memory_order_release);
    }
    wake_.notify_all();
    follow(run, 0);
  }

 private:
  void work(int part) {
    for (uint64_t seen = 0;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || run_.load() > seen; });
        if (stopping_) return;
        seen = run_.load();
      }
      follow(seen, part);
    }
  }

  void follow(uint64_t run, int part) {
    for (size_t i = 0; i < plans_.size(); i++) {
      for (int turn = 0; turn < threads_; turn++) {
        const int whose = (part + turn) % threads_;
        for (int unit; (unit = take(run, i, whose)) >= 0;) {
          plans_[i].run(unit, part);
          progress_[i].done.fetch_add(1, std::memory_order_acq_rel);
        }
      }
      for (int spins = 0; progress_[i].done.load(std::memory_order_acquire) < plans_[i].units;) {
        if (run_.load(std::memory_order_relaxed) != run) return;
        // Layers last tens of microseconds; but the other thread may need this processor.
        if (++spins < kSpins) _mm_pause();
        else std::this_thread::yield();
      }
    }
  }

  // A unit of a share that nobody has taken in this run, or -1.
  int take(uint64_t run, size_t layer, int share) {
    std::atomic<uint64_t>& taken = progress_[layer].taken[share].value;
    const uint64_t end = run << 32 | plans_[layer].share_of(share).end;
    uint64_t unit = taken.load(std::memory_order_acquire);
    do {
      if (unit >> 32 != run || unit >= end) return -1;
    } while (!taken.compare_exchange_weak(unit, unit + 1, std::memory_order_acq_rel));
    return int(unit & 0xffffffff);
  }

  static constexpr int kSpins = 2000;

  const std::vector<Layer> layers_;
  const int threads_;
  std::vector<Plan> plans_;
  std::deque<Progress> progress_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> run_{0};
  bool stopping_ = false;
};

}  // namespace

extern "C" {
void* dna_create(const Layer* layers, int count, int threads) {
  return new Machine(layers, count, threads);
}
void dna_run(void* machine) { static_cast<Machine*>(machine)->run(); }
void dna_destroy(void* machine) { delete static_cast<Machine*>(machine); }
}
