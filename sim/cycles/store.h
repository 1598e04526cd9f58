// STORE: hw/transfer/store.py.

#pragma once

#include "control.h"
#include "features.h"

namespace {

// Feature words in, DRAM words out.
class RowPacker {
public:
    explicit RowPacker(const Config &config)
        : post_words(config.lanes / config.rows), word_bytes(config.dram_bytes_per_cycle),
          row_bytes(config.rows), lanes(config.lanes) {}

    bool valid() const { return gathers() ? word : held != 0; }
    bool ready(bool dram_ready) const {
        return !valid() || (dram_ready && (gathers() || held == 1));
    }
    bool last() const { return left <= post_words; }

    void start(int64_t words) { left = row_words = words; }

    void clock(bool taken, bool dram_ready) {
        bool ends = last();
        if (gathers()) {
            bool complete = ends || part == word_bytes / lanes - 1;
            if (ready(dram_ready))
                word = taken && complete;
            if (taken)
                part = complete ? 0 : part + 1;
        } else if (taken) {
            held = (std::min(left, post_words) * row_bytes + word_bytes - 1) / word_bytes;
        } else if (held && dram_ready) {
            held--;
        }
        if (taken)
            left = ends ? row_words : left - post_words;
    }

private:
    bool gathers() const { return word_bytes >= lanes; }

    int64_t post_words, word_bytes, row_bytes, lanes;
    int64_t row_words = 0, left = 0, part = 0;
    int64_t held = 0;  // DRAM words that are left of what was taken
    bool word = false; // a DRAM word is complete
};

class StoreEngine {
public:
    StoreEngine(const Config &config, FeatureMemory &features)
        : config(config), features(features), packer(config), post_words(config.lanes / config.rows) {}

    EngineControl control;
    bool finish = false;
    bool request = false, word = false;
    int64_t offset = 0, length = 0; // of the request, DRAM words
    Activity activity = IDLE;

    void settle(const Instruction *offered, bool word_ready, bool done) {
        if (control.idle(offered)) {
            activity = IDLE;
            finish = request = word = false;
            return;
        }
        const Instruction *op = control.op;
        request = rows_to_request != 0;
        if (request)
            length = (op->row_words * config.rows + config.dram_bytes_per_cycle - 1) /
                     config.dram_bytes_per_cycle;
        packer_ready = packer.ready(word_ready);
        word = packer.valid();
        went = word && word_ready;
        came = features.answer(STORE_READ) && packer_ready;
        asked = rows_to_read && features.ready(STORE_READ);
        acknowledged = done;
        finish = control.running && done && rows_to_finish == 1;
        Activity own = WAIT_FEATURE;
        if (came || went)
            own = BUSY;
        else if (word || rows_to_pack == 0)
            own = WAIT_DRAM;
        activity = control.activity(offered, own);
    }

    void clock(const Instruction *offered, bool request_ready, bool word_ready) {
        if (control.idle(offered))
            return;
        const Instruction *op = control.op;
        if (request && request_ready) {
            rows_to_request--;
            offset += op->dram_pitch / config.dram_bytes_per_cycle;
        }
        rows_to_pack -= came && packer.last();
        rows_to_finish -= acknowledged;
        packer.clock(came, word_ready);
        if (came)
            features.take(STORE_READ);
        if (asked) {
            features.ask(STORE_READ, banks(config, address, std::min(left, post_words)));
            address += post_words;
            left -= post_words;
            if (left <= 0) {
                left = op->row_words;
                rows_to_read--;
                address = row_address += op->in_pitch;
            }
        }
        if (control.starts()) {
            rows_to_request = rows_to_read = rows_to_finish = rows_to_pack = op->rows;
            offset = op->dram / config.dram_bytes_per_cycle;
            row_address = address = op->in_base;
            left = op->row_words;
            packer.start(op->row_words);
        }
        control.clock(offered, finish);
    }

private:
    const Config &config;
    FeatureMemory &features;
    RowPacker packer;
    int64_t post_words;
    int64_t rows_to_request = 0, rows_to_read = 0, rows_to_finish = 0, rows_to_pack = 0;
    int64_t row_address = 0, address = 0, left = 0;
    bool asked = false, packer_ready = false, came = false, went = false, acknowledged = false;
};

} // namespace
