#ifndef ELAH_EMULATOR_H
#define ELAH_EMULATOR_H

/* What the emulated CUDA driver says besides results: reports of faults and of the checker, counters of launches; and
 * its options, for programs that set them by code rather than by environment variables.
 *
 * The functions are exported by the emulator's libcuda.so.1 next to the driver API; a program finds them by dlsym, and
 * where it does not find them it runs on a real driver. They may be called from any thread, before and after cuInit.
 * Strings belong to the library; those of reports and launches are valid until elah_emulator_clear.
 * Work in streams goes on meanwhile: synchronise first. */

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reports so far, in the order in which they came. */
size_t elah_emulator_report_count(void);
/* "illegal address", "race", "uninitialised read", ...; NULL where there is no such report. */
const char *elah_emulator_report_kind(size_t index);
/* What was found, where, by whom: some lines for people. */
const char *elah_emulator_report_text(size_t index);
/* The same as one JSON object. */
const char *elah_emulator_report_json(size_t index);

/* Launches counted so far (option "count"), in the order in which they ended, and each one's counters as text and as a
 * JSON object: instructions by class and by form ("ld.global.v4.u32"), by warps and by lanes; bytes by path with
 * sectors of 32 and lines of 128 bytes; flops of wgmma and mma; bank conflicts; barriers; occupancy. All but "polls"
 * and "emulatedCycles" follow from the kernel and its arguments, unless the kernel itself polls memory. */
size_t elah_emulator_launch_count(void);
const char *elah_emulator_launch_text(size_t index);
const char *elah_emulator_launch_json(size_t index);

/* Device memory that is allocated now, and not by a module: what a program has not freed. */
size_t elah_emulator_allocation_count(void);

/* Forgets all reports and launches. */
void elah_emulator_clear(void);

/* Sets an option for the launches to come: "order" eager|lazy|random, "seed" N, "adversarial" 0|1, "check" 0|1,
 * "numerics" f32|hardware, "threads" N, "patience" MILLISECONDS, "count" 0|1, "trace" FILE, "print" 0|1 (whether
 * reports are printed too). Gives 0, or -1 where the name or the value means nothing. */
int elah_emulator_set_option(const char *name, const char *value);

#ifdef __cplusplus
}
#endif

#endif
