// How CONV walks its loop nest: hw/conv/preparation.py, hw/conv/slice_stepper.py,
// hw/conv/pixel_walker.py.

#pragma once

#include "control.h"

namespace {

constexpr uint8_t VALID = 1, LAST = 2, FINAL = 4; // of a pixel on its way

class Preparation {
public:
    bool judged() const { return turn >= JUDGED; }
    bool prepared() const { return turn == PREPARED; }

    void clock(bool offered, bool taken) {
        if (taken)
            turn = 0;
        else if (offered && turn != PREPARED)
            turn++;
    }

private:
    static constexpr int JUDGED = 3, PREPARED = 6; // cycles that an instruction is on offer

    int turn = 0;
};

class SliceStepper {
public:
    explicit SliceStepper(const Config &config) : modules(config.modules) {}

    bool ready() const { return !running; }
    bool valid = false; // a pass is there
    bool first = false, final = false, shorter = false, closes = false;

    void clock(const Instruction *offered, bool pass_taken) {
        bool steps = running && settled && !valid && groups_left == 0;
        settled = running;
        valid &= !pass_taken;
        if (groups_left != 0)
            groups_left--;
        if (!running && offered) {
            op = offered;
            running = begins = true;
            passes_left = op->passes - 1;
            pixel_tiles_left = op->pixel_tiles - 1;
            channel_tiles_left = op->channel_tiles - 1;
            share_groups();
        }
        if (!steps || lane++ != (1 << op->split) - 1)
            return;
        valid = true;
        lane = 0;
        first = begins;
        final = begins = passes_left == 0;
        shorter = pixel_tiles_left == 0;
        closes = final && shorter && channel_tiles_left == 0;
        passes_left--;
        if (final) {
            passes_left = op->passes - 1;
            pixel_tiles_left--;
            if (shorter) {
                pixel_tiles_left = op->pixel_tiles - 1;
                channel_tiles_left--;
                share_groups();
            }
        }
        running = !closes;
    }

private:
    // The groups of a channel tile get their neighbours.
    void share_groups() { groups_left = op->neighbours ? modules >> op->split : 0; }

    const int64_t modules;
    const Instruction *op = nullptr;
    int64_t groups_left = 0;
    bool running = false, settled = false, begins = false;
    int64_t lane = 0, passes_left = 0, pixel_tiles_left = 0, channel_tiles_left = 0;
};

// Which pixel may enter next; where it is takes no time.
class PixelWalker {
public:
    const Instruction *op = nullptr;
    bool running = false;
    bool begins = false; // the pixel is the first one of a tile

    bool ready() const { return !running; }
    bool valid() const { return active && rest == 0; }
    bool ends_pass() const { return pixels_left == 0; }
    bool closing() const { return ends_pass() && closes; }
    uint8_t pixel() const {
        return uint8_t(VALID | (ends_pass() ? LAST : 0) | (final ? FINAL : 0));
    }
    bool pass_ready(bool taken) const {
        return running && (!active || (taken && ends_pass() && !closes));
    }

    void clock(const Instruction *offered, const SliceStepper &stepper, bool taken) {
        bool takes = offered && ready();
        bool pass = stepper.valid && pass_ready(taken);
        if (rest != 0)
            rest--;
        if (taken) {
            begins = false;
            if (pixels_left-- == 0) {
                active = false;
                rest = next_rest;
                running = !closes;
            }
        }
        if (pass) {
            active = true;
            begins = stepper.first;
            final = stepper.final;
            closes = stepper.closes;
            int64_t pixels = stepper.shorter ? op->last_pixels : op->tile_pixels;
            pixels_left = pixels - 1;
            next_rest = std::max<int64_t>(0, ACCUMULATION_LATENCY - pixels);
        }
        if (takes) {
            running = true;
            op = offered;
        }
    }

private:
    bool active = false, final = false, closes = false;
    int64_t pixels_left = 0, rest = 0, next_rest = 0;
};

} // namespace
