/*
 * check: every answer comes from trying, none from a kernel version.  Names and levels are those
 * of spec/cli.md section 10, plus what this engine cannot do without.
 */
#include "cli/check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/session.h"
#include "cli/check_probes.h"
#include "cli/options.h"

const struct feature feature_table[] = {
	{"map_files", FEATURE_MANDATORY, probe_map_files, "reading /proc/PID/map_files"},
	{"sock_diag", FEATURE_MANDATORY, probe_sock_diag, "sock_diag for unix and TCP sockets"},
	{"ns_last_pid", FEATURE_MANDATORY, probe_ns_last_pid, "writable ns_last_pid"},
	{"peek_off", FEATURE_MANDATORY, probe_peek_off, "SO_PEEK_OFF"},
	{"kcmp", FEATURE_MANDATORY, probe_kcmp, "kcmp"},
	{"prctl_mm", FEATURE_MANDATORY, probe_prctl_mm, "PR_SET_MM_MAP"},
	{"getowner_uids", FEATURE_MANDATORY, probe_getowner_uids, "F_GETOWNER_UIDS"},
	{"stat_extension", FEATURE_MANDATORY, probe_stat_extension, "52 fields in /proc/PID/stat"},
	{"tcp_repair", FEATURE_MANDATORY, probe_tcp_repair, "TCP_REPAIR"},
	{"fdinfo", FEATURE_MANDATORY, probe_fdinfo, "fdinfo of eventfd, epoll, signalfd, inotify"},
	{"vmsplice", FEATURE_MANDATORY, probe_vmsplice, "vmsplice of unaligned memory"},
	{"tty_lock", FEATURE_MANDATORY, probe_tty_lock, "termios locking"},
	{"get_filter", FEATURE_MANDATORY, probe_get_filter,
		"reading SO_GET_FILTER, SO_BINDTODEVICE"},
	{"sem_next_id", FEATURE_MANDATORY, probe_sem_next_id, "sem_next_id"},
	{"sigqueueinfo", FEATURE_MANDATORY, probe_sigqueueinfo,
		"rt_sigqueueinfo of kernel signals"},
	{"peeksiginfo", FEATURE_MANDATORY, probe_peeksiginfo, "PTRACE_PEEKSIGINFO, GETSIGMASK"},
	{"mremap_vdso", FEATURE_MANDATORY, probe_mremap_vdso, "moving the vDSO"},
	{"syscall_info", FEATURE_MANDATORY, probe_syscall_info, "PTRACE_GET_SYSCALL_INFO"},

	{"mnt_id", FEATURE_EXTRA, probe_mnt_id, "mnt_id in fdinfo"},
	{"mem_dirty_track", FEATURE_EXTRA, probe_dirty_track, "memory change tracking"},
	{"aio_remap", FEATURE_EXTRA, probe_aio_remap, "moving an AIO ring"},
	{"timerfd", FEATURE_EXTRA, probe_timerfd, "timerfd fdinfo and ticks"},
	{"tun", FEATURE_NAMED, probe_tun, "tun devices"},
	{"tun_or_no_device", FEATURE_EXTRA, probe_tun_or_no_device, "tun devices, if any"},
	{"tun_ns", FEATURE_NAMED, probe_tun_ns, "network namespace of a tun device"},
	{"userns", FEATURE_EXTRA, probe_userns, "user namespaces"},
	{"fdinfo_lock", FEATURE_EXTRA, probe_fdinfo_lock, "locks in fdinfo"},
	{"seccomp_suspend", FEATURE_EXTRA, probe_seccomp_suspend, "PTRACE_O_SUSPEND_SECCOMP"},
	{"seccomp_filters", FEATURE_EXTRA, probe_seccomp_filters, "PTRACE_SECCOMP_GET_FILTER"},
	{"loginuid", FEATURE_EXTRA, probe_loginuid, "writable loginuid"},
	{"cgroupns", FEATURE_EXTRA, probe_cgroupns, "cgroup namespaces"},
	{"autofs", FEATURE_EXPERIMENTAL, probe_autofs, "pipe_ino of autofs mounts"},
	{"tcp_half_closed", FEATURE_EXTRA, probe_tcp_half_closed,
		"TCP_REPAIR of half-closed sockets"},
	{"compat_cr", FEATURE_EXPERIMENTAL, probe_compat, "32-bit vDSO"},
	{"uffd", FEATURE_EXTRA, probe_uffd, "userfaultfd"},
	{"uffd-noncoop", FEATURE_EXTRA, probe_uffd_noncoop, "userfaultfd events"},
	{"can_map_vdso", FEATURE_EXTRA, probe_map_vdso, "ARCH_MAP_VDSO_64"},
	{"sk_ns", FEATURE_EXTRA, probe_sk_ns, "SIOCGSKNS"},
	{"sk_unix_file", FEATURE_NAMED, probe_sk_unix_file, "SIOCUNIXFILE"},
	{"net_diag_raw", FEATURE_EXTRA, probe_net_diag_raw, "sock_diag for raw sockets"},
	{"nsid", FEATURE_NAMED, probe_nsid, "network namespace ids"},
	{"link_nsid", FEATURE_NAMED, probe_link_nsid, "namespace ids of links"},
	{"kcmp_epoll", FEATURE_EXTRA, probe_kcmp_epoll, "KCMP_EPOLL_TFD"},
	{"timens", FEATURE_EXTRA, probe_timens, "time namespaces"},
	{"external_net_ns", FEATURE_NAMED, probe_external_net_ns, "external network namespaces"},
	{"clone3_set_tid", FEATURE_EXTRA, probe_clone3_set_tid, "clone3 with set_tid"},
	{"newifindex", FEATURE_EXTRA, probe_newifindex, "IFLA_NEW_IFINDEX"},
	{"nftables", FEATURE_NAMED, probe_nftables, "built with libnftables"},
	{"has_ipt_legacy", FEATURE_NAMED, probe_ipt_legacy, "legacy iptables tools"},
	{"pidfd_store", FEATURE_EXTRA, probe_pidfd_store, "pidfd_open and pidfd_getfd"},
	{"ns_pid", FEATURE_EXTRA, probe_ns_pid, "NSpid in status"},
	{"apparmor_stacking", FEATURE_NAMED, probe_apparmor_stacking, "AppArmor stacking"},
	{"network_lock_nftables", FEATURE_EXTRA, probe_network_lock_nftables,
		"nftables sets of concatenations"},
	{"sockopt_buf_lock", FEATURE_EXTRA, probe_buf_lock, "SO_BUF_LOCK"},
	{"memfd_hugetlb", FEATURE_EXTRA, probe_memfd_hugetlb, "MFD_HUGETLB"},
	{"move_mount_set_group", FEATURE_EXTRA, probe_move_mount_set_group, "MOVE_MOUNT_SET_GROUP"},
	{"openat2", FEATURE_EXTRA, probe_openat2, "openat2"},
	{"get_rseq_conf", FEATURE_EXTRA, probe_rseq_conf, "PTRACE_GET_RSEQ_CONFIGURATION"},
	{"ipv6_freebind", FEATURE_EXTRA, probe_ipv6_freebind, "IPV6_FREEBIND"},
	{"pagemap_scan", FEATURE_EXTRA, probe_pagemap_scan, "PAGEMAP_SCAN"},
	{"timer_cr_ids", FEATURE_EXTRA, probe_timer_cr_ids, "PR_TIMER_CREATE_RESTORE_IDS"},
	{"overlayfs_maps", FEATURE_EXTRA, probe_overlayfs_maps, "maps and stat agree on overlayfs"},
	{"breakpoints", FEATURE_NAMED, probe_breakpoints, "hardware breakpoints"},
	{"pagemap_scan_guard_pages", FEATURE_EXTRA, probe_guard_pages,
		"guard pages in PAGEMAP_SCAN"},
	{"posix_timers", FEATURE_EXTRA, probe_posix_timers, "/proc/PID/timers"},
	{"clone_parent", FEATURE_EXTRA, probe_clone_parent, "CLONE_PARENT with CLONE_NEWPID"},
};

const size_t n_features = sizeof(feature_table) / sizeof(feature_table[0]);

int result(long ret)
{
	return ret < 0 ? -errno : 0;
}

pid_t fork_probe(void)
{
	pid_t parent = getpid(), pid = fork();
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		_exit(EIO);
	return pid;
}

int in_child(int (*probe)(void))
{
	int status;
	pid_t pid = fork_probe();
	if (pid < 0)
		return -errno;
	if (!pid) {
		int err = -probe();
		_exit(err < 0 || err > 255 ? EIO : err);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EFAULT;
}

static bool wanted(const struct options *o, enum feature_level level)
{
	return level == FEATURE_MANDATORY ||
	       (level == FEATURE_EXTRA && (o->check_extra || o->check_all)) ||
	       (level == FEATURE_EXPERIMENTAL && (o->check_experimental || o->check_all));
}

static int check_one_feature(struct session *s, const char *name)
{
	for (size_t i = 0; i < n_features; i++) {
		const struct feature *f = &feature_table[i];
		if (strcmp(f->name, name))
			continue;
		int err = f->probe();
		if (err)
			return fail(s, err, "feature %s (%s) does not work here", f->name, f->what);
		log_line(s, LOG_MESSAGE, "%s is supported", f->name);
		return 0;
	}
	return fail_remedy(s, EINVAL, "see fermata(8) for the names", "unknown feature %s", name);
}

/* Warns of each that is missing. Returns how many. */
static unsigned check_level(struct session *s, bool mandatory)
{
	unsigned missing = 0;
	for (size_t i = 0; i < n_features; i++) {
		const struct feature *f = &feature_table[i];
		if ((f->level == FEATURE_MANDATORY) != mandatory || !wanted(s->opt, f->level))
			continue;
		int err = f->probe();
		if (err)
			log_warn(s, "%s does not work here: %s", f->what, strerror(-err));
		else
			log_info(s, "%s: works", f->what);
		missing += err != 0;
	}
	return missing;
}

bool check_has(const char *name)
{
	for (size_t i = 0; i < n_features; i++)
		if (!strcmp(feature_table[i].name, name))
			return feature_table[i].probe() == 0;
	return false;
}

int check_mandatory(struct session *s)
{
	if (!check_level(s, true))
		return 0;
	log_warn(s, "Does not look good.");
	return fail(s, ENOTSUP, "this kernel lacks something that is always needed (see above)");
}

int check_run(struct session *s)
{
	if (s->opt->feature)
		return check_one_feature(s, s->opt->feature);
	int err = check_mandatory(s);
	if (err)
		return err;
	unsigned missing = check_level(s, false);
	int stacking = (s->opt->check_extra || s->opt->check_all) && apparmor_active()
			       ? probe_apparmor_stacking()
			       : 0;
	if (stacking)
		log_warn(s, "AppArmor stacking does not work here: %s", strerror(-stacking));
	if (missing || stacking) {
		log_line(s, LOG_MESSAGE,
			"Looks good but some kernel features are missing\n"
			"which, depending on your process tree, may cause\n"
			"dump or restore failure.");
		return fail(s, ENOTSUP, "some optional kernel features are missing (see above)");
	}
	log_line(s, LOG_MESSAGE, "Looks good.");
	return 0;
}
