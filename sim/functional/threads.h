// Layers in order, each shared by several threads.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "convolution.h"
#include "depthwise.h"
#include "layer.h"
#include "rows.h"

namespace {

// A layer cut into units that any thread may do, in any order. The share of a thread is a run of
// them: in a convolution the blocks of some rows, because a thread then reads what it wrote in the
// layer before, or just some blocks if rows are few.
struct Plan {
  const Layer* layer;
  int parts, blocks, pieces, units;
  int pixels;  // of a run of a convolution
  const Plan* next = nullptr;  // the next convolution

  Plan(const Layer& l, int threads)
      : layer(&l), parts(threads), pixels(pixels_of_run(l.output.width)) {
    const bool depthwise = l.kind == KIND_DEPTHWISE;
    const int of_block = depthwise ? kBlockBytes : kChannels;
    blocks = (l.output.channels + of_block - 1) / of_block;
    const bool by_rows = l.output.height >= 4 * threads && threads > 1;
    pieces = by_rows ? threads * std::max(1, kUnitsPerShare / blocks) : 1;
    pieces = std::min(pieces, l.output.height);
    if (l.kind == KIND_CONVOLUTION || depthwise) units = pieces * blocks;
    else units = l.kind == KIND_MEAN ? threads : l.output.height;
  }

  Range share_of(int part) const { return share(units, part, parts); }

  void run(int unit, int part) const {
    const Layer& l = *layer;
    switch (l.kind) {
      case KIND_CONVOLUTION: return convolve_unit(unit, part);
      case KIND_ADD: return add_row(l, unit);
      case KIND_MULTIPLY: return multiply_row(l, unit);
      case KIND_MAXIMUM: return extremum_row<true>(l, unit);
      case KIND_MINIMUM: return extremum_row<false>(l, unit);
      case KIND_COPY: return copy_row(l, unit);
      case KIND_LOOKUP: return lookup_row(l, unit);
      case KIND_MAX_POOL: return max_pool_row(l, unit);
      case KIND_DEPTHWISE: return depthwise(l, unit % blocks, rows_of(unit));
      case KIND_AVERAGE_POOL: return average_pool_row(l, unit);
      case KIND_MEAN: return mean_of(l, share(l.output.channels, unit, units));
    }
    std::abort();  // a kind that nobody computes
  }

 private:
  static constexpr int kUnitsPerShare = 8;

  Range rows_of(int unit) const { return share(layer->output.height, unit / blocks, pieces); }

  void convolve_unit(int unit, int part) const {
    const bool last = unit + 1 >= share_of(part).end;
    const Plan* from = last ? next : this;
    const int8_t *ahead = nullptr, *ahead_end = nullptr;
    if (from) {
      const int block = (last ? from->share_of(part).first : unit + 1) % from->blocks;
      const Products& wanted = from->layer->plain;
      ahead = wanted.weights + int64_t{wanted.first[block]} * kBlockStep;
      ahead_end = wanted.weights + int64_t{wanted.first[block + 1]} * kBlockStep;
    }
    convolution(pixels, *layer, unit % blocks, rows_of(unit), ahead, ahead_end);
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
      plans_[i].next = plans_[i + 1].layer->kind == KIND_CONVOLUTION ? &plans_[i + 1] : plans_[i + 1].next;
    for (int i = 0; i < count; i++) progress_.emplace_back(threads);
    if (sched_getaffinity(0, sizeof allowed_, &allowed_)) CPU_ZERO(&allowed_);
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
      processor_.store(sched_getcpu(), std::memory_order_relaxed);
      run_.store(run, std::memory_order_release);
    }
    wake_.notify_all();
    follow(run, 0);
  }

 private:
  void work(int part) {
    for (uint64_t seen = 0;;) {
      // The next image often comes at once, and sleep takes longer than a layer.
      for (int spins = 0; spins < kPatience && run_.load() == seen && !stopping_; spins++) pause();
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || run_.load() > seen; });
        if (stopping_) return;
        seen = run_.load();
      }
      keep_apart();
      follow(seen, part);
    }
  }

  // Beside other programs a worker may wake on its caller's processor, and the kernel leaves it there
  // for longer than an image takes. It then leaves that processor to the caller.
  void keep_apart() {
    const int caller = processor_.load(std::memory_order_relaxed);
    if (sched_getcpu() != caller) return;
    cpu_set_t others = allowed_;
    CPU_CLR(caller, &others);
    if (CPU_COUNT(&others)) sched_setaffinity(0, sizeof others, &others);
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
        if (++spins < kSpins) pause();
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
  static constexpr int kPatience = 10000;

  const std::vector<Layer> layers_;
  const int threads_;
  std::vector<Plan> plans_;
  std::deque<Progress> progress_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  cpu_set_t allowed_;
  std::atomic<int> processor_{0};  // of the caller
  std::atomic<uint64_t> run_{0};
  std::atomic<bool> stopping_{false};
};

}  // namespace
