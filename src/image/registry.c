/*
 * The file table of spec/images-process.md 1.3.
 *
 * One row per kind of file, in the order of enum image_type.  Everything the codec does
 * differently between files follows from its row.
 */
#include "image/registry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "anon_inode.pb-c.h"
#include "cgroup.pb-c.h"
#include "core.pb-c.h"
#include "cpuinfo.pb-c.h"
#include "fdinfo.pb-c.h"
#include "fermata.pb-c.h"
#include "file.pb-c.h"
#include "inventory.pb-c.h"
#include "ipc.pb-c.h"
#include "mem.pb-c.h"
#include "mount.pb-c.h"
#include "namespace.pb-c.h"
#include "netdev.pb-c.h"
#include "pipe.pb-c.h"
#include "security.pb-c.h"
#include "signal.pb-c.h"
#include "socket.pb-c.h"
#include "stats.pb-c.h"
#include "timer.pb-c.h"
#include "tty.pb-c.h"

#define RECORDS(file, crit_name, type_magic, message)                  \
	.pattern = (file), .name = (crit_name), .magic = (type_magic), \
	.record = &message##__descriptor
#define RAW(file) .pattern = (file), .class = IMAGE_RAW

/* clang-format off */
static const struct image_kind kinds[N_IMAGE_TYPES] = {
	[IMG_APPARMOR] = {RECORDS("apparmor.img", "APPARMOR", 0x59423047, apparmor_entry)},
	[IMG_AUTOFS] = {RECORDS("autofs-%u.img", "AUTOFS", 0x49353943, autofs_entry)},
	[IMG_BINFMT_MISC] = {RECORDS("binfmt-misc.img", "BINFMT_MISC", 0x67343323, binfmt_misc_entry)},
	[IMG_BPFMAP_DATA] = {RECORDS("bpfmap-data.img", "BPFMAP_DATA", 0x64324033, bpfmap_data_entry),
		.payload = PAYLOAD_BPFMAP},
	[IMG_BPFMAP_FILE] = {RECORDS("bpfmap-file.img", "BPFMAP_FILE", 0x57506142, bpfmap_file_entry)},
	[IMG_CGROUP] = {RECORDS("cgroup.img", "CGROUP", 0x59383330, cgroup_entry)},
	[IMG_CORE] = {RECORDS("core-%u.img", "CORE", 0x55053847, core_entry)},
	[IMG_CPUINFO] = {RECORDS("cpuinfo.img", "CPUINFO", 0x61404013, cpuinfo_entry)},
	[IMG_FDINFO] = {RECORDS("fdinfo-%u.img", "FDINFO", 0x56213732, fdinfo_entry),
		.even_if_empty = true},
	[IMG_FIFO_DATA] = {RECORDS("fifo-data.img", "FIFO_DATA", 0x59333054, pipe_data_entry),
		.payload = PAYLOAD_PIPE},
	[IMG_FILE_LOCKS] = {RECORDS("filelocks.img", "FILE_LOCKS", 0x54323616, file_lock_entry)},
	[IMG_FILES] = {RECORDS("files.img", "FILES", 0x56303138, file_entry)},
	[IMG_FS] = {RECORDS("fs-%u.img", "FS", 0x51403912, fs_entry)},
	[IMG_GHOST_FILE] = {RECORDS("ghost-file-%x.img", "GHOST_FILE", 0x52583605, ghost_file_entry),
		.payload = PAYLOAD_GHOST, .nested = &ghost_chunk_entry__descriptor},
	[IMG_IDS] = {RECORDS("ids-%u.img", "IDS", 0x54432030, task_kobj_ids_entry)},
	[IMG_IFADDR] = {RAW("ifaddr-%u.img")},
	[IMG_INVENTORY] = {RECORDS("inventory.img", "INVENTORY", 0x58313116, inventory_entry),
		.class = IMAGE_INVENTORY},
	[IMG_IP6TABLES] = {RAW("ip6tables-%u.img")},
	[IMG_IPC_MSG] = {RECORDS("ipcns-msg-%u.img", "IPCNS_MSG", 0x55453737, ipc_msg_entry),
		.payload = PAYLOAD_IPC_MSG, .nested = &ipc_msg__descriptor},
	[IMG_IPC_SEM] = {RECORDS("ipcns-sem-%u.img", "IPCNS_SEM", 0x59573019, ipc_sem_entry),
		.payload = PAYLOAD_IPC_SEM},
	[IMG_IPC_SHM] = {RECORDS("ipcns-shm-%u.img", "IPCNS_SHM", 0x46283044, ipc_shm_entry),
		.payload = PAYLOAD_IPC_SHM},
	[IMG_IPC_VAR] = {RECORDS("ipcns-var-%u.img", "IPC_VAR", 0x53115007, ipc_var_entry)},
	[IMG_IPTABLES] = {RAW("iptables-%u.img")},
	[IMG_IRMAP_CACHE] = {RECORDS("irmap-cache", "IRMAP_CACHE", 0x57004059, irmap_cache_entry),
		.class = IMAGE_SERVICE},
	[IMG_MEMFD] = {RECORDS("memfd.img", "MEMFD_INODE", 0x48453499, memfd_inode_entry)},
	[IMG_MM] = {RECORDS("mm-%u.img", "MM", 0x57492820, mm_entry)},
	[IMG_MOUNTPOINTS] = {RECORDS("mountpoints-%u.img", "MNTS", 0x55563928, mnt_entry)},
	[IMG_NETDEV] = {RECORDS("netdev-%u.img", "NETDEV", 0x57373951, net_device_entry)},
	[IMG_NETNS] = {RECORDS("netns-%u.img", "NETNS", 0x55933752, netns_entry)},
	[IMG_NETNS_CT] = {RAW("netns-ct-%u.img")},
	[IMG_NETNS_EXP] = {RAW("netns-exp-%u.img")},
	[IMG_NFTABLES] = {RAW("nftables-%u.img")},
	[IMG_PAGEMAP] = {RECORDS("pagemap-%u.img", "PAGEMAP", 0x56084025, pagemap_head),
		.payload = PAYLOAD_PAGEMAP, .nested = &pagemap_entry__descriptor},
	[IMG_PAGEMAP_SHMEM] = {RECORDS("pagemap-shmem-%u.img", "PAGEMAP", 0x56084025, pagemap_head),
		.payload = PAYLOAD_PAGEMAP, .nested = &pagemap_entry__descriptor},
	[IMG_PAGES] = {RAW("pages-%u.img")},
	[IMG_PIDNS] = {RECORDS("pidns-%u.img", "PIDNS", 0x61157326, pidns_entry)},
	[IMG_PIPES_DATA] = {RECORDS("pipes-data.img", "PIPES_DATA", 0x56453709, pipe_data_entry),
		.payload = PAYLOAD_PIPE},
	[IMG_PSTREE] = {RECORDS("pstree.img", "PSTREE", 0x50273030, pstree_entry)},
	[IMG_REMAP_FPATH] = {RECORDS("remap-fpath.img", "REMAP_FPATH", 0x59133954,
		remap_file_path_entry)},
	[IMG_ROUTE] = {RAW("route-%u.img")},
	[IMG_ROUTE6] = {RAW("route6-%u.img")},
	[IMG_RULE] = {RAW("rule-%u.img")},
	[IMG_SECCOMP] = {RECORDS("seccomp.img", "SECCOMP", 0x64413049, seccomp_entry)},
	[IMG_SK_QUEUES] = {RECORDS("sk-queues.img", "SK_QUEUES", 0x56264026, sk_packet_entry),
		.payload = PAYLOAD_SK_PACKET},
	[IMG_STATS_DUMP] = {RECORDS("stats-dump", "STATS", 0x57093306, stats_entry),
		.class = IMAGE_SERVICE},
	[IMG_STATS_RESTORE] = {RECORDS("stats-restore", "STATS", 0x57093306, stats_entry),
		.class = IMAGE_SERVICE},
	[IMG_TCP_STREAM] = {RECORDS("tcp-stream-%x.img", "TCP_STREAM", 0x51465506, tcp_stream_entry),
		.payload = PAYLOAD_TCP},
	[IMG_TIMENS] = {RECORDS("timens-%u.img", "TIMENS", 0x43114433, timens_entry)},
	[IMG_TMPFS_DEV] = {RAW("tmpfs-dev-%u.tar.gz.img")},
	[IMG_TTY_DATA] = {RECORDS("tty-data.img", "TTY_DATA", 0x59413026, tty_data_entry)},
	[IMG_TTY_INFO] = {RECORDS("tty-info.img", "TTY_INFO", 0x59453036, tty_info_entry)},
	[IMG_USERNS] = {RECORDS("userns-%u.img", "USERNS", 0x55474906, userns_entry)},
	[IMG_UTSNS] = {RECORDS("utsns-%u.img", "UTSNS", 0x54473203, utsns_entry)},
	[IMG_FERMATA] = {RECORDS("fermata-%u.img", "FERMATA", 0x46524d54, fermata_entry)},
	[IMG_FERMATA_FILES] = {RECORDS(
		"fermata-files.img", "FERMATA_FILES", 0x46524d46, fermata_file_entry)},
	[IMG_FERMATA_CHECKSUMS] = {RECORDS("fermata-checksums.img", "FERMATA_CHECKSUMS", 0x46524d43,
		fermata_checksum_entry)},

	[IMG_OLD_BINFMT_MISC] = {RECORDS("binfmt-misc-%u.img", "BINFMT_MISC", 0x67343323,
		binfmt_misc_entry)},
	[IMG_OLD_CREDS] = {RECORDS("creds-%u.img", "CREDS", 0x54023547, creds_entry)},
	[IMG_OLD_EVENTFD] = {RECORDS("eventfd.img", "EVENTFD_FILE", 0x44523722, eventfd_file_entry)},
	[IMG_OLD_EVENTPOLL_TFD] = {RECORDS("eventpoll-tfd.img", "EVENTPOLL_TFD", 0x44433746,
		eventpoll_tfd_entry)},
	[IMG_OLD_EVENTPOLL] = {RECORDS("eventpoll.img", "EVENTPOLL_FILE", 0x45023858,
		eventpoll_file_entry)},
	[IMG_OLD_EXT_FILES] = {RECORDS("ext-files.img", "EXT_FILES", 0x59255641, ext_file_entry)},
	[IMG_OLD_FANOTIFY_MARK] = {RECORDS("fanotify-mark.img", "FANOTIFY_MARK", 0x56506035,
		fanotify_mark_entry)},
	[IMG_OLD_FANOTIFY] = {RECORDS("fanotify.img", "FANOTIFY_FILE", 0x55096122,
		fanotify_file_entry)},
	[IMG_OLD_FIFO] = {RECORDS("fifo.img", "FIFO", 0x58364939, fifo_entry)},
	[IMG_OLD_INETSK] = {RECORDS("inetsk.img", "INETSK", 0x56443851, inet_sk_entry)},
	[IMG_OLD_INOTIFY_WD] = {RECORDS("inotify-wd.img", "INOTIFY_WD", 0x54562009,
		inotify_wd_entry)},
	[IMG_OLD_INOTIFY] = {RECORDS("inotify.img", "INOTIFY_FILE", 0x48424431, inotify_file_entry)},
	[IMG_OLD_ITIMERS] = {RECORDS("itimers-%u.img", "ITIMERS", 0x57464056, itimer_entry)},
	[IMG_OLD_NETLINKSK] = {RECORDS("netlinksk.img", "NETLINK_SK", 0x58005614, netlink_sk_entry)},
	[IMG_OLD_NS_FILES] = {RECORDS("ns-files.img", "NS_FILES", 0x61394011, ns_file_entry)},
	[IMG_OLD_PACKETSK] = {RECORDS("packetsk.img", "PACKETSK", 0x60454618, packet_sock_entry)},
	/* Version 1 page data with a magic: told from raw pages-%u.img by img_version only. */
	[IMG_OLD_PAGES] = {.pattern = "pages-%u.img", .magic = 0x56084025},
	[IMG_OLD_PAGES_SHMEM] = {.pattern = "pages-shmem-%u.img", .magic = 0x56084025},
	[IMG_OLD_PIDFD] = {RECORDS("pidfd.img", "PIDFD", 0x54435556, pidfd_entry)},
	[IMG_OLD_PIPES] = {RECORDS("pipes.img", "PIPES", 0x56513555, pipe_entry)},
	[IMG_OLD_POSIX_TIMERS] = {RECORDS("posix-timers-%u.img", "POSIX_TIMERS", 0x52603957,
		posix_timer_entry)},
	[IMG_OLD_REG_FILES] = {RECORDS("reg-files.img", "REG_FILES", 0x50363636, reg_file_entry)},
	[IMG_OLD_RLIMIT] = {RECORDS("rlimit-%u.img", "RLIMIT", 0x57113925, rlimit_entry)},
	[IMG_OLD_SIGACTS] = {RECORDS("sigacts-%u.img", "SIGACT", 0x55344201, sa_entry)},
	[IMG_OLD_SIGNAL_P] = {RECORDS("signal-p-%u.img", "SIGNAL", 0x59255647, siginfo_entry)},
	[IMG_OLD_SIGNAL_S] = {RECORDS("signal-s-%u.img", "SIGNAL", 0x59255647, siginfo_entry)},
	[IMG_OLD_SIGNALFD] = {RECORDS("signalfd.img", "SIGNALFD", 0x57323820, signalfd_entry)},
	[IMG_OLD_TIMERFD] = {RECORDS("timerfd.img", "TIMERFD", 0x50493712, timerfd_entry)},
	[IMG_OLD_TMPFS] = {RAW("tmpfs-%u.tar.gz.img")},
	[IMG_OLD_TTY] = {RECORDS("tty.img", "TTY_FILES", 0x59433025, tty_file_entry)},
	[IMG_OLD_TUNFILE] = {RECORDS("tunfile.img", "TUNFILE", 0x57143751, tunfile_entry)},
	[IMG_OLD_UNIXSK] = {RECORDS("unixsk.img", "UNIXSK", 0x54373943, unix_sk_entry)},
	[IMG_OLD_VMAS] = {RECORDS("vmas-%u.img", "VMAS", 0x54123737, vma_entry)},
};
/* clang-format on */

const struct image_kind *image_kind(enum image_type type)
{
	assert(type < N_IMAGE_TYPES);
	return &kinds[type];
}

void image_name(enum image_type type, uint64_t id, char name[static IMAGE_NAME_MAX])
{
	const char *pattern = image_kind(type)->pattern;
	const char *mark = strchr(pattern, '%');
	if (!mark)
		snprintf(name, IMAGE_NAME_MAX, "%s", pattern);
	else if (mark[1] == 'x')
		snprintf(name, IMAGE_NAME_MAX, "%.*s%jx%s", (int)(mark - pattern), pattern,
			(uintmax_t)id, mark + 2);
	else
		snprintf(name, IMAGE_NAME_MAX, "%.*s%ju%s", (int)(mark - pattern), pattern,
			(uintmax_t)id, mark + 2);
}

/* An id as the writer spells it: no sign, no blanks, no prefix, lower case. */
static bool parse_id(const char *text, size_t len, bool hex, uint64_t *ret)
{
	const char *digits = hex ? "0123456789abcdef" : "0123456789";
	if (!len || len > 20 || strspn(text, digits) < len)
		return false;
	char copy[21];
	memcpy(copy, text, len);
	copy[len] = '\0';
	*ret = strtoull(copy, NULL, hex ? 16 : 10);
	return true;
}

static bool name_matches(const char *pattern, const char *name, uint64_t *ret_id)
{
	const char *mark = strchr(pattern, '%');
	if (!mark) {
		*ret_id = 0;
		return strcmp(pattern, name) == 0;
	}
	size_t before = (size_t)(mark - pattern), after = strlen(mark + 2), len = strlen(name);
	if (len <= before + after || strncmp(pattern, name, before) != 0 ||
		strcmp(name + len - after, mark + 2) != 0)
		return false;
	return parse_id(name + before, len - before - after, mark[1] == 'x', ret_id);
}

bool image_parse_name(const char *name, enum image_type *ret_type, uint64_t *ret_id)
{
	for (int type = 0; type < N_IMAGE_TYPES; type++) {
		uint64_t id;
		if (!name_matches(kinds[type].pattern, name, &id))
			continue;
		*ret_type = (enum image_type)type;
		*ret_id = id;
		return true;
	}
	return false;
}

const struct image_kind *image_kind_by_magic(enum image_class class, uint32_t magic)
{
	for (int type = 0; type < N_IMAGE_TYPES; type++)
		if (kinds[type].class == class && kinds[type].magic == magic && kinds[type].record)
			return &kinds[type];
	return NULL;
}

bool image_type_by_name(const char *name, enum image_type *ret)
{
	for (int type = 0; type < N_IMAGE_TYPES; type++)
		if (kinds[type].name && strcmp(kinds[type].name, name) == 0) {
			*ret = (enum image_type)type;
			return true;
		}
	return false;
}
