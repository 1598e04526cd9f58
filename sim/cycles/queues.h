// Queues and small parts that several blocks are made of; only how full they are, not what is in
// them, unless it decides something.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

inline bool bit(uint32_t bits, int index) { return bits >> index & 1; }

// amaranth.lib.fifo.SyncFIFO, of words that decide something.
template <class Word> class Fifo {
public:
    explicit Fifo(int64_t depth) : words(depth) {}

    bool w_rdy() const { return level != words.size(); }
    bool r_rdy() const { return level != 0; }
    const Word &front() const { return words[consume]; }

    void clock(bool write, bool read, const Word &word = {}) {
        write &= w_rdy();
        read &= r_rdy();
        if (write) {
            words[produce] = word;
            produce = produce + 1 == words.size() ? 0 : produce + 1;
        }
        if (read)
            consume = consume + 1 == words.size() ? 0 : consume + 1;
        level += size_t(write) - size_t(read);
    }

private:
    std::vector<Word> words;
    size_t level = 0, produce = 0, consume = 0;
};

// amaranth.lib.fifo.SyncFIFOBuffered: a queue with a register behind it.
class FifoBuffered {
public:
    explicit FifoBuffered(int64_t depth) : depth(depth) {}

    bool w_rdy() const { return depth == 1 ? !out : inner != depth - 1; }
    bool r_rdy() const { return out; }
    int64_t level() const { return inner + out; }

    void clock(bool write, bool read) {
        write &= w_rdy();
        if (depth == 1) {
            out = out ? !read : write;
            return;
        }
        bool inner_read = inner != 0 && (!out || read);
        inner += int64_t(write) - int64_t(inner_read);
        out = inner_read || (out && !read);
    }

private:
    int64_t depth, inner = 0;
    bool out = false;
};

// hw/streams/register_slice.py.
class RegisterSlice {
public:
    bool ready() const { return !kept; }
    bool valid() const { return output; }

    void clock(bool word, bool taken) {
        if (!output || taken) {
            output = kept || word;
            kept = false;
        } else if (word && !kept) {
            kept = true;
        }
    }

private:
    bool output = false, kept = false;
};

// hw/streams/stream_fork.py with two outputs.
class StreamFork {
public:
    bool valid(int output, bool input) const { return input && !served[output]; }

    // Whether the input is taken; `taken` are the transfers of the outputs.
    bool serves(bool first, bool second) const {
        return (served[0] || first) && (served[1] || second);
    }

    void clock(bool first, bool second) {
        bool all = serves(first, second);
        served[0] = !all && (served[0] || first);
        served[1] = !all && (served[1] || second);
    }

private:
    bool served[2] = {false, false};
};

struct Burst {
    int64_t word = 0, length = 0; // DRAM words
    bool last = false;
};

// hw/bus/burst_splitter.py. Offsets and lengths are in DRAM words.
class BurstSplitter {
public:
    explicit BurstSplitter(int64_t burst_words) : burst_words(burst_words) {}

    bool ready() const { return !came; }
    bool valid() const { return offered; }
    const Burst &burst() const { return now; }

    void clock(bool request, int64_t offset, int64_t length, bool taken) {
        bool loads = judged && !active, judges = summed && !judged, sums = came && !summed;
        bool accepts = request && !came;
        if (!offered || taken) {
            offered = active;
            if (active) {
                int64_t room = burst_words - (word & (burst_words - 1));
                now = {word, std::min(room, left), left <= room};
                word += now.length;
                left -= now.length;
                active = left != 0;
            }
        }
        if (loads) {
            judged = false;
            active = true;
            word = requests[2].word;
            left = requests[2].length;
        }
        if (judges) {
            summed = false;
            judged = true;
            requests[2] = requests[1];
        }
        if (sums) {
            came = false;
            summed = true;
            requests[1] = requests[0];
        }
        if (accepts) {
            came = true;
            requests[0] = {offset, length, false};
        }
    }

private:
    int64_t burst_words, word = 0, left = 0;
    bool came = false, summed = false, judged = false, active = false, offered = false;
    Burst requests[3], now;
};

// hw/bus/burst_address.py.
class BurstAddress {
public:
    bool ready() const { return !summed; }
    bool valid() const { return offered; }
    const Burst &burst() const { return now; }
    int id() const { return now_id; }
    bool starts(bool accepted) const { return summed && (!offered || accepted); }

    // `accepted` is that of the channel.
    void clock(bool taken, const Burst &next, int next_id, bool accepted) {
        bool moves = starts(accepted);
        if (accepted)
            offered = false;
        if (moves) {
            offered = true;
            now = kept;
            now_id = kept_id;
            summed = false;
        }
        if (taken) {
            summed = true;
            kept = next;
            kept_id = next_id;
        }
    }

private:
    bool summed = false, offered = false;
    Burst kept, now;
    int kept_id = 0, now_id = 0;
};

} // namespace
