// How CONV walks its loop nest: hw/conv/slice_stepper.py, hw/conv/pixel_walker.py.

#pragma once

#include "control.h"

namespace {

constexpr uint8_t VALID = 1, LAST = 2, FINAL = 4, SPLIT_SHIFT = 3; // of a pixel on its way

class SliceStepper {
public:
    bool ready() const { return !running; }
    bool valid = false; // a pass is there
    bool final = false, shorter = false, closes = false;

    void clock(const Instruction *offered, bool pass_taken) {
        if (!running) {
            valid &= !pass_taken;
            if (!offered)
                return;
            op = offered;
            running = true;
            passes_left = op->passes - 1;
            pixel_tiles_left = op->pixel_tiles - 1;
            channel_tiles_left = op->channel_tiles - 1;
            return;
        }
        if (valid && !pass_taken)
            return;
        valid = false;
        if (lane++ != (1 << op->split) - 1)
            return;
        valid = true;
        lane = 0;
        final = passes_left == 0;
        shorter = pixel_tiles_left == 0;
        closes = final && shorter && channel_tiles_left == 0;
        passes_left--;
        if (final) {
            passes_left = op->passes - 1;
            pixel_tiles_left--;
            if (shorter) {
                pixel_tiles_left = op->pixel_tiles - 1;
                channel_tiles_left--;
            }
        }
        running = !closes;
    }

private:
    const Instruction *op = nullptr;
    bool running = false;
    int64_t lane = 0, passes_left = 0, pixel_tiles_left = 0, channel_tiles_left = 0;
};

// Which pixel is asked for; where it is takes no time.
class PixelWalker {
public:
    const Instruction *op = nullptr;
    bool running = false, closing = false;
    bool active = false; // a window is asked for

    bool ready(bool ended) const { return turn == TURNS && (!running || ended); }
    bool pass_ready(bool asked) const {
        bool ends_pass = asked && pixels_left == 0;
        return running && !closing && (!active || (ends_pass && !closes));
    }
    uint8_t tag() const { return uint8_t((pixels_left == 0 ? LAST : 0) | (final ? FINAL : 0)); }

    void clock(const Instruction *offered, const SliceStepper &stepper, bool asked, bool ended) {
        bool takes = offered && ready(ended);
        bool pass = stepper.valid && pass_ready(asked);
        if (asked && pixels_left-- == 0) {
            active = false;
            closing = closes;
        }
        if (pass) {
            active = true;
            final = stepper.final;
            closes = stepper.closes;
            pixels_left = (stepper.shorter ? op->last_pixels : op->tile_pixels) - 1;
        }
        if (ended)
            closing = running = false;
        if (takes) {
            running = true;
            op = offered;
        }
        if (offered)
            turn = takes ? 0 : std::min(turn + 1, TURNS);
    }

private:
    static constexpr int TURNS = 4; // products that an instruction needs

    bool final = false, closes = false;
    int64_t pixels_left = 0;
    int turn = 0;
};

} // namespace
