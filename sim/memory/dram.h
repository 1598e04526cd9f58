// DRAM behind a controller: channels, banks and rows, one command at a time, no data.
// DramTiming is that of sim/memory/timing.py; sim/memory/dram.py says what the controller does.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

constexpr uint64_t NEVER_DONE = ~uint64_t(0);

// How many whole or begun periods of `part` are in `whole`.
inline uint64_t periods(uint64_t whole, uint64_t part) { return (whole + part - 1) / part; }

// The state of one channel: what may be sent when, in clocks of the memory.
class DramChannel {
public:
    explicit DramChannel(const DramTiming &timing)
        : t(timing), banks(t.banks), groups(t.groups), refresh_due(t.t_refi), wake(t.t_refi) {}

    bool room(bool write) const { return queues[write].size() < size_t(t.queue); }

    // One burst of the memory, the `number`-th of this channel; the machine's cycle in which a read
    // is there comes to `done`.
    void add(bool write, uint64_t number, uint64_t *done) {
        uint64_t group = number % t.groups, page = number / t.groups / t.page_bursts;
        uint64_t per_group = t.banks / t.groups;
        queues[write].push_back(
            {page / per_group, uint32_t(page % per_group * t.groups + group), age++, done});
        wake = std::min(wake, std::max(now, bus_free));
    }

    // Sends what it can in all clocks before `until`.
    void run(uint64_t until) {
        while (wake < until) {
            uint64_t clock = wake;
            wake = NEVER_DONE;
            if (issue(clock))
                wake = bus_free = clock + t.command_clocks;
        }
        now = until;
    }

private:
    struct Access {
        uint64_t row;
        uint32_t bank;
        uint64_t age;
        uint64_t *done;
    };

    struct Bank {
        bool open = false;
        uint64_t row = 0, column = 0, precharge = 0, activate = 0; // the latter: earliest clocks
    };

    struct Group {
        uint64_t column[2] = {0, 0}, activate = 0;
    };

    // Whether now is the time; if not, when.
    bool due(uint64_t time, uint64_t clock) {
        if (time <= clock)
            return true;
        wake = std::min(wake, time);
        return false;
    }

    bool issue(uint64_t clock) {
        if (due(refresh_due, clock))
            return refresh(clock);
        turn();
        if (queues[writing].empty() || !arrived(clock))
            return false;
        return column(clock) || row(clock);
    }

    // Whether the oldest access has come to its bank, where accesses go in order.
    bool arrived(uint64_t clock) {
        if (!t.turn_clocks || queues[writing].front().bank == last_bank)
            return true;
        return due(may_turn, clock);
    }

    // Writes wait until they are many or nothing else is asked for; or all go in order.
    void turn() {
        size_t reads = queues[0].size(), writes = queues[1].size();
        if (t.turn_clocks)
            writing = writes && (!reads || queues[1].front().age < queues[0].front().age);
        else if (writing)
            writing = writes && (!reads || writes > size_t(t.write_low));
        else
            writing = writes >= size_t(t.write_high) || (writes && !reads);
    }

    // All banks are closed, then refreshed together.
    bool refresh(uint64_t clock) {
        uint64_t closed = 0, idle = 0;
        bool open = false;
        for (const Bank &bank : banks) {
            open |= bank.open;
            closed = std::max(closed, bank.open ? bank.precharge : 0);
            idle = std::max(idle, bank.activate);
        }
        if (!due(open ? closed : idle, clock))
            return false;
        for (Bank &bank : banks)
            bank.activate = std::max(bank.activate, clock + (open ? t.t_rp : t.t_rfc)),
            bank.open = false;
        refresh_due += open ? 0 : t.t_refi;
        return true;
    }

    // The oldest access to an open row that may go.
    bool column(uint64_t clock) {
        hits = 0;
        auto &queue = queues[writing];
        auto end = t.turn_clocks ? queue.begin() + 1 : queue.end();
        for (auto access = queue.begin(); access != end; ++access) {
            Bank &bank = banks[access->bank];
            if (!bank.open || bank.row != access->row)
                continue;
            hits |= uint64_t(1) << access->bank;
            Group &group = groups[access->bank % t.groups];
            uint64_t time = std::max({bank.column, any.column[writing], group.column[writing]});
            if (!due(time, clock))
                continue;
            uint64_t ends = clock + t.burst_clocks + (writing ? t.write_latency : t.read_latency);
            for (Group *one : {&any, &group}) {
                bool same = one == &group;
                later(one->column[writing], clock + (same ? t.t_ccd_l : t.t_ccd_s));
                later(one->column[!writing], writing ? ends + (same ? t.t_wtr_l : t.t_wtr_s)
                                                     : ends + t.turnaround - t.write_latency);
            }
            later(bank.precharge, writing ? ends + t.t_wr : clock + t.t_rtp);
            if (!writing)
                *access->done = periods(ends * t.clock_ps, t.cycle_ps);
            last_bank = access->bank;
            may_turn = clock + t.turn_clocks;
            queue.erase(access);
            return true;
        }
        return false;
    }

    // Opens a row for the oldest access of each bank, or closes the one that is in its way.
    bool row(uint64_t clock) {
        uint64_t seen = hits; // whoever hits an open row goes first
        for (const Access &access : queues[writing]) {
            uint64_t bit = uint64_t(1) << access.bank;
            if (&access != &queues[writing].front() && t.turn_clocks)
                break;
            if (seen & bit)
                continue;
            seen |= bit;
            Bank &bank = banks[access.bank];
            if (bank.open) {
                if (!due(bank.precharge, clock))
                    continue;
                bank.open = false;
                later(bank.activate, clock + t.t_rp);
                return true;
            }
            Group &group = groups[access.bank % t.groups];
            uint64_t four = activates[oldest];
            if (!due(std::max({bank.activate, any.activate, group.activate, four}), clock))
                continue;
            bank = {true, access.row, clock + t.t_rcd, clock + t.t_ras, clock + t.t_rc};
            later(any.activate, clock + t.t_rrd_s);
            later(group.activate, clock + t.t_rrd_l);
            activates[oldest] = clock + t.t_faw;
            oldest = (oldest + 1) % 4;
            return true;
        }
        return false;
    }

    static void later(uint64_t &time, uint64_t other) { time = std::max(time, other); }

    DramTiming t;
    std::vector<Bank> banks;
    std::vector<Group> groups;
    Group any;
    std::vector<Access> queues[2]; // reads, writes; the oldest first
    uint64_t activates[4] = {0, 0, 0, 0};
    uint32_t last_bank = ~0u;
    uint64_t may_turn = 0, age = 0;
    int oldest = 0;
    bool writing = false;
    uint64_t hits = 0, refresh_due, wake, now = 0, bus_free = 0;
};

// All channels; addresses and cycles are those of the machine.
class DramController {
public:
    explicit DramController(const DramTiming &timing)
        : t(timing), channels(t.channels, DramChannel(timing)) {}

    // Takes the burst of the memory at `address`, or not.
    bool take(bool write, uint64_t address, uint64_t *done) {
        uint64_t part = address / t.interleave_bytes;
        DramChannel &channel = channels[part % t.channels];
        if (!channel.room(write))
            return false;
        uint64_t own = part / t.channels * t.interleave_bytes + address % t.interleave_bytes;
        channel.add(write, own / t.burst_bytes, done);
        return true;
    }

    // Does what is done before `cycle` begins.
    void run(uint64_t cycle) {
        uint64_t until = periods(cycle * t.cycle_ps, t.clock_ps);
        for (DramChannel &channel : channels)
            channel.run(until);
    }

private:
    DramTiming t;
    std::vector<DramChannel> channels;
};

} // namespace
