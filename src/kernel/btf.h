/* BTF, the kernel's own description of its types and functions (Documentation/bpf/btf.rst). */
#ifndef FERMATA_KERNEL_BTF_H
#define FERMATA_KERNEL_BTF_H

#include <stddef.h>
#include <stdint.h>

/* The id of the function of that name; 0: there is none, or the data is malformed. */
uint32_t btf_find_function(const void *data, size_t len, const char *name);

#endif
