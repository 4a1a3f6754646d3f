/* Probes of the check verb: each returns 0 when the feature works, a negative errno when not. */
#ifndef FERMATA_CLI_CHECK_PROBES_H
#define FERMATA_CLI_CHECK_PROBES_H

#include <stdbool.h>
#include <sys/types.h>

/* fork(); the child is killed when we end. */
pid_t fork_probe(void);

/* Runs the probe in a forked child, so that what it changes dies with it. */
int in_child(int (*probe)(void));

/* Turns the result of a system call into 0 or -errno. */
int result(long ret);

/* Whether the file can be read and holds the text. -errno, -ENODATA when it lacks it. */
int file_holds(const char *path, const char *text);

/* check_proc.c: files under /proc and /sys, tools */
int probe_map_files(void), probe_ns_last_pid(void), probe_stat_extension(void), probe_fdinfo(void),
	probe_tty_lock(void), probe_sem_next_id(void), probe_mnt_id(void), probe_timerfd(void),
	probe_fdinfo_lock(void), probe_loginuid(void), probe_cgroupns(void), probe_ns_pid(void),
	probe_posix_timers(void), probe_apparmor_stacking(void), probe_ipt_legacy(void),
	probe_autofs(void), probe_overlayfs_maps(void), probe_move_mount_set_group(void),
	probe_openat2(void);
bool apparmor_active(void);

/* check_task.c: processes, signals, ptrace */
int probe_kcmp(void), probe_kcmp_epoll(void), probe_prctl_mm(void), probe_getowner_uids(void),
	probe_sigqueueinfo(void), probe_peeksiginfo(void), probe_syscall_info(void),
	probe_seccomp_suspend(void), probe_seccomp_filters(void), probe_userns(void),
	probe_timens(void), probe_clone3_set_tid(void), probe_pidfd_store(void),
	probe_rseq_conf(void), probe_timer_cr_ids(void), probe_breakpoints(void),
	probe_clone_parent(void);

/* check_mem.c: mappings */
int probe_vmsplice(void), probe_mremap_vdso(void), probe_dirty_track(void), probe_aio_remap(void),
	probe_uffd(void), probe_uffd_noncoop(void), probe_map_vdso(void), probe_compat(void),
	probe_memfd_hugetlb(void), probe_pagemap_scan(void), probe_guard_pages(void);

/* check_net.c: sockets; check_netlink.c: what is asked by rtnetlink and nf_tables */
int probe_peek_off(void), probe_tcp_repair(void), probe_get_filter(void), probe_tun(void),
	probe_tun_or_no_device(void), probe_tun_ns(void), probe_tcp_half_closed(void),
	probe_tcp_window(void), probe_sk_ns(void), probe_sk_unix_file(void), probe_buf_lock(void),
	probe_ipv6_freebind(void), probe_external_net_ns(void);
int probe_sock_diag(void), probe_net_diag_raw(void), probe_nsid(void), probe_link_nsid(void),
	probe_newifindex(void), probe_nftables(void), probe_network_lock_nftables(void);

#endif
