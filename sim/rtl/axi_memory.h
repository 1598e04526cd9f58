// The memory behind the machine's AXI4 ports: its bytes, and the rules that the bus must keep; when
// it does what is in sim/memory/ports.h. sim/rtl/axi_memory.py does the same. The structures,
// enumerations and constants are the DECLARATIONS there.

#pragma once

#include <algorithm>
#include <cstring>
#include <deque>

#include "../memory/ports.h"
#include "design.h"

namespace {

// The address channel of one direction: checks the rules that the machine must keep.
class AddressChannel {
public:
    AddressChannel(const Design &design, const MemoryContent &content, uint64_t port,
                   const std::string &prefix, const std::string &name)
        : valid(design.pin(prefix + name + "valid")), ready(design.pin(prefix + name + "ready")),
          address(design.pin(prefix + name + "addr")), id(design.pin(prefix + name + "id")),
          length(design.pin(prefix + name + "len")), name(name),
          size(design.pin(prefix + name + "size")), burst(design.pin(prefix + name + "burst")),
          bytes(design.width(prefix + "rdata") / 8), ports(content.ports), port(port),
          granule(content.granule) {}

    // Whether a burst is transferred in this cycle; says in `fault` what is wrong with it.
    bool observe(std::string &fault) {
        if (held && (!*valid || start() != held_start || *length != held_length || *id != held_id))
            fault = name + " changed before it was accepted";
        held = *valid && !*ready;
        held_start = start(), held_length = *length, held_id = *id;
        if (!*valid || !*ready)
            return false;
        uint64_t end = start() + words() * bytes;
        if (*size != uint32_t(__builtin_ctz(bytes)) || *burst != BURST_INCREMENTING)
            fault = name + " is not a burst of whole words";
        else if (start() % bytes)
            fault = name + " is not aligned";
        else if (start() / PAGE_BYTES != (end - 1) / PAGE_BYTES)
            fault = name + " crosses 4 KiB";
        else if (start() / granule % ports != port)
            fault = name + " belongs to another port";
        return true;
    }

    uint64_t start() const { return address[0] | uint64_t(address[1]) << 32; }
    uint64_t words() const { return *length + 1; }

    uint32_t *valid, *ready, *address, *id, *length;

private:
    std::string name;
    uint32_t *size, *burst;
    uint32_t bytes;
    uint64_t ports, port, granule;
    bool held = false;
    uint64_t held_start = 0;
    uint32_t held_length = 0, held_id = 0;
};

// One port to the memory.
class Memory {
public:
    Memory(const Design &design, const MemoryContent &content, MemoryPort &time, uint64_t port,
           const std::string &prefix)
        : content(content), time(time),
          errors(content.errors, content.errors + content.error_count),
          word_bytes(design.width(prefix + "rdata") / 8), ar(design, content, port, prefix, "ar"),
          aw(design, content, port, prefix, "aw"), rvalid(design.pin(prefix + "rvalid")), rready(design.pin(prefix + "rready")),
          rid(design.pin(prefix + "rid")), rdata(design.pin(prefix + "rdata")),
          rresp(design.pin(prefix + "rresp")), rlast(design.pin(prefix + "rlast")),
          wvalid(design.pin(prefix + "wvalid")), wready(design.pin(prefix + "wready")),
          wdata(design.pin(prefix + "wdata")), wstrb(design.pin(prefix + "wstrb")),
          wlast(design.pin(prefix + "wlast")), bvalid(design.pin(prefix + "bvalid")),
          bready(design.pin(prefix + "bready")), bid(design.pin(prefix + "bid")),
          bresp(design.pin(prefix + "bresp")), held_word(word_bytes) {}

    // Drives the memory's side of the bus.
    void offer() {
        *ar.ready = time.arready;
        *aw.ready = time.awready;
        *wready = time.wready;
        if (time.rvalid && !r_held)
            offer_word();
        *rvalid = time.rvalid;
        if (time.bvalid && !b_held) {
            *bid = answers.front().id;
            *bresp = answers.front().response;
            answers.pop_front();
        }
        *bvalid = time.bvalid;
    }

    // Takes note of what the bus transfers in this cycle.
    void observe() {
        if (*wvalid || w_held)
            observe_word();
        if (ar.observe(fault))
            time.read(int(*ar.id), ar.start() - content.base, ar.words());
        if (aw.observe(fault)) {
            writes.push_back({aw.start(), aw.words(), *aw.id, OKAY});
            time.write(aw.start() - content.base, aw.words());
        }
        r_held = *rvalid && !*rready;
        b_held = *bvalid && !*bready;
        time.take(*rready, *bready);
    }

    // The first rule of AXI4 that the machine broke.
    std::string fault;

private:
    struct Write {
        uint64_t address; // of the next word
        uint64_t words;   // left
        uint32_t id;
        uint32_t response;
    };

    // Where a word is, and how the memory answers to its address.
    uint8_t *place(uint64_t address) const { return content.bytes + (address - content.base); }

    uint32_t response(uint64_t address) const {
        uint64_t offset = address - content.base;
        if (address < content.base || offset + word_bytes > content.size)
            return DECERR;
        for (const Range &range : errors)
            if (offset < range.stop && range.start < offset + word_bytes)
                return SLVERR;
        return OKAY;
    }

    void offer_word() {
        uint64_t address = content.base + time.raddress;
        *rid = uint32_t(time.rid);
        *rresp = response(address);
        *rlast = time.rlast;
        if (*rresp == DECERR)
            std::memset(rdata, 0, word_bytes);
        else
            std::memcpy(rdata, place(address), word_bytes);
    }

    void observe_word() {
        if (w_held && (!*wvalid || *wlast != held_last ||
                       std::memcmp(wdata, held_word.data(), word_bytes) != 0))
            fault = "w changed before it was accepted";
        w_held = *wvalid && !*wready;
        if (w_held) {
            held_last = *wlast;
            std::memcpy(held_word.data(), wdata, word_bytes);
        }
        if (!*wvalid || !*wready)
            return;
        Write &burst = writes.front();
        uint32_t answer = response(burst.address);
        burst.response = std::max(burst.response, answer);
        if (answer == OKAY)
            for (size_t i = 0; i < word_bytes; i++)
                if (wstrb[i / 32] >> i % 32 & 1)
                    place(burst.address)[i] = reinterpret_cast<const uint8_t *>(wdata)[i];
        time.write_word();
        burst.address += word_bytes;
        burst.words--;
        if (*wlast != (burst.words == 0))
            fault = "wlast is not at the end of its burst";
        if (burst.words == 0) {
            answers.push_back(burst);
            writes.pop_front();
        }
    }

    MemoryContent content;
    MemoryPort &time;
    std::vector<Range> errors;
    size_t word_bytes;
    std::deque<Write> writes, answers;
    AddressChannel ar, aw;
    uint32_t *rvalid, *rready, *rid, *rdata, *rresp, *rlast;
    uint32_t *wvalid, *wready, *wdata, *wstrb, *wlast;
    uint32_t *bvalid, *bready, *bid, *bresp;
    bool r_held = false, b_held = false, w_held = false;
    uint32_t held_last = 0;
    std::vector<uint8_t> held_word;
};

} // namespace
