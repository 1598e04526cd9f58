// A board: the SoC, verilated, its SDRAM and the other end of its serial port.
//
// The host's messages come from standard input, answers go to standard output; time stands still
// between two messages. Numbers are little-endian.
//   'X', u32 sent, u32 wanted, u64 cycles, bytes: the bytes go to the board, one after another,
//       then up to `wanted` bytes of its answer are waited for, at most so many cycles;
//       answer: u32 count, bytes, u64 the cycle it is now
//   'L', u32 offset, u32 length, bytes: put into the SDRAM behind everybody's back

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "pins.h" // DATA_PINS(top): the 16 pins' values when the SoC drives; BIT_CYCLES

namespace {

// A chip of 4 banks, 8192 rows, 512 columns of 16 bits; bursts of one word, read latency 2.
class Sdram {
public:
    Sdram() : words(size_t(4) << 22) {}

    // The pins between two rising edges of the chip's clock.
    void clock(const Vtop &top, uint16_t driven) {
        reading.push_back(0);
        if (!top.sdram_cs_n && top.sdram_cke) {
            bool ras = !top.sdram_ras_n, cas = !top.sdram_cas_n, we = !top.sdram_we_n;
            if (ras && !cas && !we)
                rows[top.sdram_ba] = top.sdram_a;
            else if (!ras && cas && !we)
                reading.back() = words[place(top)];
            else if (!ras && cas && we)
                write(words[place(top)], driven, top.sdram_dm);
        }
        data = reading.front();
        reading.pop_front();
    }

    uint16_t data = 0; // that the chip drives, for the next edge
    std::vector<uint16_t> words;

private:
    size_t place(const Vtop &top) const {
        return (size_t(rows[top.sdram_ba]) * 4 + top.sdram_ba) * 512 + (top.sdram_a & 511);
    }

    static void write(uint16_t &word, uint16_t value, unsigned masked) {
        uint16_t keep = (masked & 1 ? 0xFF : 0) | (masked & 2 ? 0xFF00 : 0);
        word = (word & keep) | (value & ~keep);
    }

    uint32_t rows[4] = {0, 0, 0, 0};
    std::deque<uint16_t> reading = {0};
};

class Board {
public:
    Board() {
        top.serial_rx = 1;
        top.rst = 1;
        step();
        top.rst = 0;
        for (int cycle = 0; cycle < 64; cycle++)
            step();
        listening = true; // the line is at rest now
    }

    void send(uint8_t byte) {
        for (unsigned frame = unsigned(byte) << 1 | 0x200, bit = 0; bit < 10; bit++) {
            top.serial_rx = frame >> bit & 1;
            for (int cycle = 0; cycle < BIT_CYCLES; cycle++)
                step();
        }
    }

    std::vector<uint8_t> receive(size_t wanted, uint64_t cycles) {
        for (uint64_t until = now + cycles; answers.size() < wanted && now < until;)
            step();
        size_t count = std::min(wanted, answers.size());
        std::vector<uint8_t> taken(answers.begin(), answers.begin() + count);
        answers.erase(answers.begin(), answers.begin() + count);
        return taken;
    }

    uint64_t now = 0;
    Sdram sdram;

private:
    void step() {
        top.sdram_dq = sdram.data;
        top.clk25 = 1;
        top.eval();
        sdram.clock(top, DATA_PINS(top));
        top.clk25 = 0;
        top.eval();
        if (listening)
            listen();
        now++;
    }

    // The board's transmitter: a start bit, eight of data, sampled in their middle.
    void listen() {
        if (!wait) {
            if (!top.serial_tx)
                wait = BIT_CYCLES + BIT_CYCLES / 2, bits = 0, value = 0;
        } else if (--wait == 0 && bits < 8) {
            value |= unsigned(top.serial_tx) << bits++;
            wait = BIT_CYCLES;
            if (bits == 8)
                answers.push_back(uint8_t(value));
        }
    }

    Vtop top;
    bool listening = false;
    int wait = 0, bits = 0;
    unsigned value = 0;
    std::deque<uint8_t> answers;
};

template <class Number> bool take(Number &number) {
    return std::fread(&number, sizeof number, 1, stdin) == 1;
}

std::vector<uint8_t> take_bytes(size_t count) {
    std::vector<uint8_t> bytes(count);
    bytes.resize(std::fread(bytes.data(), 1, count, stdin));
    return bytes;
}

} // namespace

int main() {
    Board board;
    for (char kind; take(kind);) {
        uint32_t first, second;
        take(first);
        take(second);
        if (kind == 'L') {
            std::vector<uint8_t> bytes = take_bytes(second);
            for (size_t at = 0; at < bytes.size(); at++) {
                uint16_t &word = board.sdram.words[(first + at) / 2];
                int shift = 8 * ((first + at) % 2);
                word = (word & ~(0xFF << shift)) | bytes[at] << shift;
            }
            continue;
        }
        uint64_t cycles;
        take(cycles);
        for (uint8_t byte : take_bytes(first))
            board.send(byte);
        std::vector<uint8_t> answer = board.receive(second, cycles);
        uint32_t count = answer.size();
        std::fwrite(&count, sizeof count, 1, stdout);
        std::fwrite(answer.data(), 1, count, stdout);
        std::fwrite(&board.now, sizeof board.now, 1, stdout);
        std::fflush(stdout);
    }
}
