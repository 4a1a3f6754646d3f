/* Reading seccomp filters: classic BPF over struct seccomp_data (seccomp(2)). */
#ifndef FERMATA_KERNEL_SECCOMP_FILTER_H
#define FERMATA_KERNEL_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Whether a filter of n instructions, as the kernel has accepted it, lets every x86-64 call of this
 * number pass. A filter that looks at arguments or at the address of the call, before it lets it
 * pass, may not.
 */
bool seccomp_filter_passes(const struct sock_filter *code, size_t n, uint32_t nr);

#endif
