/*
 * Printing programs: one line a step, like strace.
 *
 *	[pid 77] map anonymous memory: mmap(0x5566000, 8192, 0x3, 0x32, -1, 0) = 0x5566000
 */
#ifndef FERMATA_ENGINE_EXPLAIN_H
#define FERMATA_ENGINE_EXPLAIN_H

#include <stdio.h>

#include "engine/program.h"

/* Name of a system call, or NULL. */
const char *syscall_name(uint32_t nr);

void explain_program(FILE *f, const struct program *p);

#endif
