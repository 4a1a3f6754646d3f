/* Sorted by message, then field (strcmp), for bsearch(); tests check that and every name. */
#include "image/presentation.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct presentation table[] = {
	{"bpfmap_file_entry", "flags", PRESENT_FLAGS, "rfile.flags"},
	{"fanotify_file_entry", "evflags", PRESENT_HEX},
	{"fanotify_file_entry", "faflags", PRESENT_HEX},
	{"fanotify_file_entry", "flags", PRESENT_HEX},
	{"fanotify_mark_entry", "ignored_mask", PRESENT_HEX},
	{"fanotify_mark_entry", "mask", PRESENT_HEX},
	{"fanotify_mark_entry", "mflags", PRESENT_HEX},
	{"fanotify_mark_entry", "s_dev", PRESENT_DEV},
	{"fermata_checksum_entry", "xxh3", PRESENT_HEX},
	{"fermata_entry", "coredump_filter", PRESENT_HEX},
	{"fermata_entry", "cpus", PRESENT_HEX},
	{"fermata_entry", "numa_nodes", PRESENT_HEX},
	{"fermata_entry", "personality", PRESENT_HEX},
	{"fermata_ghost", "inode_flags", PRESENT_HEX},
	{"fermata_vma", "end", PRESENT_HEX},
	{"fermata_vma", "start", PRESENT_HEX},
	{"ghost_file_entry", "dev", PRESENT_DEV},
	{"ghost_file_entry", "rdev", PRESENT_ODEV},
	{"inet_sk_entry", "dst_addr", PRESENT_IPADDR},
	{"inet_sk_entry", "family", PRESENT_DICT, "sk"},
	{"inet_sk_entry", "flags", PRESENT_HEX},
	{"inet_sk_entry", "proto", PRESENT_DICT, "sk"},
	{"inet_sk_entry", "src_addr", PRESENT_IPADDR},
	{"inet_sk_entry", "state", PRESENT_DICT, "sk"},
	{"inet_sk_entry", "type", PRESENT_DICT, "sk"},
	{"inotify_file_entry", "flags", PRESENT_HEX},
	{"inotify_wd_entry", "ignored_mask", PRESENT_HEX},
	{"inotify_wd_entry", "mask", PRESENT_HEX},
	{"inotify_wd_entry", "s_dev", PRESENT_DEV},
	{"irmap_cache_entry", "dev", PRESENT_ODEV},
	{"memfd_file_entry", "flags", PRESENT_FLAGS, "rfile.flags"},
	{"memfd_inode_entry", "seals", PRESENT_FLAGS, "seals.flags"},
	{"mm_entry", "mm_arg_end", PRESENT_HEX},
	{"mm_entry", "mm_arg_start", PRESENT_HEX},
	{"mm_entry", "mm_brk", PRESENT_HEX},
	{"mm_entry", "mm_end_code", PRESENT_HEX},
	{"mm_entry", "mm_end_data", PRESENT_HEX},
	{"mm_entry", "mm_env_end", PRESENT_HEX},
	{"mm_entry", "mm_env_start", PRESENT_HEX},
	{"mm_entry", "mm_start_brk", PRESENT_HEX},
	{"mm_entry", "mm_start_code", PRESENT_HEX},
	{"mm_entry", "mm_start_data", PRESENT_HEX},
	{"mm_entry", "mm_start_stack", PRESENT_HEX},
	{"mnt_entry", "flags", PRESENT_HEX},
	{"mnt_entry", "root_dev", PRESENT_DEV},
	{"mnt_entry", "sb_flags", PRESENT_HEX},
	{"net_device_entry", "flags", PRESENT_HEX},
	{"netlink_sk_entry", "flags", PRESENT_HEX},
	{"packet_sock_entry", "flags", PRESENT_HEX},
	{"pagemap_entry", "flags", PRESENT_FLAGS, "pmap.flags"},
	{"pagemap_entry", "vaddr", PRESENT_HEX},
	{"pipe_entry", "flags", PRESENT_HEX},
	{"reg_file_entry", "flags", PRESENT_FLAGS, "rfile.flags"},
	{"sa_entry", "flags", PRESENT_HEX},
	{"sa_entry", "mask", PRESENT_HEX},
	{"sa_entry", "mask_extended", PRESENT_HEX},
	{"sa_entry", "restorer", PRESENT_HEX},
	{"sa_entry", "sigaction", PRESENT_HEX},
	{"signalfd_entry", "flags", PRESENT_HEX},
	{"signalfd_entry", "sigmask", PRESENT_HEX},
	{"sit_entry", "local", PRESENT_IPADDR},
	{"sit_entry", "rd_prefix", PRESENT_IPADDR},
	{"sit_entry", "relay_prefix", PRESENT_IPADDR},
	{"sit_entry", "remote", PRESENT_IPADDR},
	{"task_core_entry", "blk_sigset", PRESENT_HEX},
	{"task_core_entry", "blk_sigset_extended", PRESENT_HEX},
	{"task_core_entry", "membarrier_registration_mask", PRESENT_HEX},
	{"task_core_entry", "task_state", PRESENT_DICT, "gen"},
	{"tcp_stream_entry", "opt_mask", PRESENT_HEX},
	{"thread_info_aarch64", "clear_tid_addr", PRESENT_HEX},
	{"thread_info_aarch64", "gpregs", PRESENT_HEX},
	{"thread_info_arm", "clear_tid_addr", PRESENT_HEX},
	{"thread_info_arm", "gpregs", PRESENT_HEX},
	{"thread_info_loongarch64", "clear_tid_addr", PRESENT_HEX},
	{"thread_info_loongarch64", "fpregs", PRESENT_HEX},
	{"thread_info_loongarch64", "gpregs", PRESENT_HEX},
	{"thread_info_mips", "clear_tid_addr", PRESENT_HEX},
	{"thread_info_mips", "fpregs", PRESENT_HEX},
	{"thread_info_mips", "gpregs", PRESENT_HEX},
	{"thread_info_ppc64", "clear_tid_addr", PRESENT_HEX},
	{"thread_info_ppc64", "gpregs", PRESENT_HEX},
	{"thread_info_riscv64", "clear_tid_addr", PRESENT_HEX},
	{"thread_info_riscv64", "gpregs", PRESENT_HEX},
	{"thread_info_s390", "clear_tid_addr", PRESENT_HEX},
	{"thread_info_s390", "fpregs", PRESENT_HEX},
	{"thread_info_s390", "gpregs", PRESENT_HEX},
	{"thread_info_s390", "gs_bc", PRESENT_HEX},
	{"thread_info_s390", "gs_cb", PRESENT_HEX},
	{"thread_info_s390", "ri_cb", PRESENT_HEX},
	{"thread_info_s390", "vxrs_high", PRESENT_HEX},
	{"thread_info_s390", "vxrs_low", PRESENT_HEX},
	{"thread_info_x86", "clear_tid_addr", PRESENT_HEX},
	{"thread_info_x86", "gpregs", PRESENT_HEX},
	{"timerfd_entry", "flags", PRESENT_HEX},
	{"timerfd_entry", "settime_flags", PRESENT_HEX},
	{"tty_file_entry", "flags", PRESENT_HEX},
	{"tun_link_entry", "flags", PRESENT_HEX},
	{"unix_sk_entry", "flags", PRESENT_HEX},
	{"unix_sk_entry", "name", PRESENT_CONV, "unix_name"},
	{"unix_sk_entry", "state", PRESENT_DICT, "sk"},
	{"unix_sk_entry", "type", PRESENT_DICT, "sk"},
	{"unix_sk_entry", "uflags", PRESENT_HEX},
	{"user_x86_cet_entry", "cet", PRESENT_HEX},
	{"user_x86_cet_entry", "ssp", PRESENT_HEX},
	{"vma_entry", "end", PRESENT_HEX},
	{"vma_entry", "fdflags", PRESENT_HEX},
	{"vma_entry", "flags", PRESENT_FLAGS, "mmap.flags"},
	{"vma_entry", "madv", PRESENT_HEX},
	{"vma_entry", "prot", PRESENT_FLAGS, "mmap.prot"},
	{"vma_entry", "start", PRESENT_HEX},
	{"vma_entry", "status", PRESENT_FLAGS, "mmap.status"},
};
/* clang-format on */

static int compare(const void *a, const void *b)
{
	const struct presentation *left = a, *right = b;
	int order = strcmp(left->message, right->message);
	return order ? order : strcmp(left->field, right->field);
}

const struct presentation *presentation_of(const char *message, const char *field)
{
	const struct presentation key = {.message = message, .field = field};
	return bsearch(&key, table, sizeof(table) / sizeof(*table), sizeof(*table), compare);
}

const struct presentation *presentation_table(size_t *ret_n)
{
	*ret_n = sizeof(table) / sizeof(*table);
	return table;
}
