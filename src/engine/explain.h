/*
 * Printing programs: one line a step, like strace.
 *
 *	[pid 77] map anonymous memory: mmap(0x5566000, 8192, 0x3, 0x32, -1, 0) = 0x5566000
 */
#ifndef FERMATA_ENGINE_EXPLAIN_H
#define FERMATA_ENGINE_EXPLAIN_H

#include <stdio.h>

#include "base/session.h"
#include "cli/options.h"
#include "engine/program.h"

/* Name of a system call, or NULL. */
const char *syscall_name(uint32_t nr);

void explain_program(FILE *f, const struct program *p);

/*
 * With --explain, prints "[controller] " and the text, of what the caller was about to do itself,
 * and is true: it shall not be done.  The arguments are looked at only then.
 */
#define explained(s, ...) ((s)->opt->explain && explain_act(__VA_ARGS__))
bool explain_act(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
