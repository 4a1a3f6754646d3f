/* The VmFlags line of smaps; for proc_maps.c only. */
#ifndef FERMATA_KERNEL_VMA_FLAGS_H
#define FERMATA_KERNEL_VMA_FLAGS_H

#include <stdint.h>

#include "kernel/scan.h"

/* VMF() bits of " rd wr mr "; words of kernels newer than this code set VMF(UNKNOWN). */
uint64_t vma_flags_parse(struct scan *line);

#endif
