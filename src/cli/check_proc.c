/* Probes of files under /proc and /sys, of fdinfo, mounts and installed tools. */
#include "cli/check_probes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif
#ifndef MOVE_MOUNT_SET_GROUP
#define MOVE_MOUNT_SET_GROUP 0x00000100
#endif

int file_holds(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int r = -ENODATA;
	if (!f)
		return -errno;
	while (r < 0 && getline(&line, &room, f) > 0)
		r = strstr(line, text) ? 0 : r;
	free(line);
	return r;
}

static int fdinfo_holds(int fd, const char *text)
{
	char path[64];
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return file_holds(path, text);
}

/* Only mappings of files are there; the first of all need not be one. */
int probe_map_files(void)
{
	char path[96], link[256], line[PATH_MAX + 128];
	unsigned long start, end;
	_cleanup_fclose_ FILE *f = fopen("/proc/self/maps", "re");
	do
		if (!f || !fgets(line, sizeof(line), f))
			return -EIO;
	while (!strchr(line, '/') || sscanf(line, "%lx-%lx", &start, &end) != 2);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", start, end);
	if (readlink(path, link, sizeof(link)) < 0)
		return -errno;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	return result(fd);
}

static int writable(const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	return result(fd);
}

int probe_ns_last_pid(void)
{
	return writable("/proc/sys/kernel/ns_last_pid");
}

int probe_sem_next_id(void)
{
	return geteuid() ? 0 : writable("/proc/sys/kernel/sem_next_id");
}

int probe_stat_extension(void)
{
	char text[1024];
	_cleanup_fclose_ FILE *f = fopen("/proc/self/stat", "re");
	if (!f || !fgets(text, sizeof(text), f))
		return -EIO;
	int fields = 2;
	for (const char *c = strrchr(text, ')'); c && *c; c++)
		fields += *c == ' ';
	return fields >= 52 ? 0 : -ENODATA;
}

int probe_fdinfo(void)
{
	sigset_t mask;
	sigemptyset(&mask);
	_cleanup_close_ int event = eventfd(3, EFD_CLOEXEC);
	_cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
	_cleanup_close_ int signals = signalfd(-1, &mask, SFD_CLOEXEC);
	_cleanup_close_ int notify = inotify_init1(IN_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, event, &ev) < 0 ||
		inotify_add_watch(notify, "/", IN_DELETE_SELF) < 0)
		return -errno;
	int err = fdinfo_holds(event, "eventfd-count:");
	err = err ? err : fdinfo_holds(epoll, "tfd:");
	err = err ? err : fdinfo_holds(signals, "sigmask:");
	return err ? err : fdinfo_holds(notify, "fhandle-bytes:");
}

int probe_mnt_id(void)
{
	_cleanup_close_ int fd = open("/", O_RDONLY | O_CLOEXEC);
	return fdinfo_holds(fd, "mnt_id:");
}

int probe_timerfd(void)
{
	uint64_t ticks = 1;
	_cleanup_close_ int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int err = fdinfo_holds(fd, "clockid:");
	return err ? err : result(ioctl(fd, TFD_IOC_SET_TICKS, &ticks));
}

int probe_fdinfo_lock(void)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
		return -errno;
	return fdinfo_holds(fd, "lock:");
}

int probe_tty_lock(void)
{
	struct termios locked;
	_cleanup_close_ int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return result(ioctl(fd, TIOCGLCKTRMIOS, &locked));
}

static int rewrite_loginuid(void)
{
	char text[32];
	_cleanup_close_ int fd = open("/proc/self/loginuid", O_RDWR | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (len < 0)
		return -errno;
	return result(pwrite(fd, text, (size_t)len, 0));
}

int probe_loginuid(void)
{
	return in_child(rewrite_loginuid);
}

int probe_cgroupns(void)
{
	return result(access("/proc/self/ns/cgroup", F_OK));
}

int probe_ns_pid(void)
{
	return file_holds("/proc/self/status", "NSpid:");
}

static int create_timer(void)
{
	timer_t id;
	struct sigevent ev = {.sigev_notify = SIGEV_NONE};
	if (timer_create(CLOCK_MONOTONIC, &ev, &id) < 0)
		return -errno;
	return file_holds("/proc/self/timers", "ID:");
}

int probe_posix_timers(void)
{
	return in_child(create_timer);
}

bool apparmor_active(void)
{
	return !file_holds("/sys/module/apparmor/parameters/enabled", "Y");
}

int probe_apparmor_stacking(void)
{
	int err = file_holds("/sys/kernel/security/apparmor/features/domain/stack", "yes");
	return err ? err : result(access("/sys/kernel/security/apparmor/policy/namespaces", R_OK));
}

int probe_ipt_legacy(void)
{
	const char *dirs = getenv("PATH");
	char path[512];
	for (; dirs; dirs = strchr(dirs, ':') ? strchr(dirs, ':') + 1 : NULL) {
		snprintf(path, sizeof(path), "%.*s/iptables-legacy-save", (int)strcspn(dirs, ":"),
			dirs);
		if (!access(path, X_OK))
			return 0;
	}
	return -ENOENT;
}

/* A mount namespace of our own with an empty tmpfs as cwd. */
static int enter_scratch(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("none", "/tmp", "tmpfs", 0, NULL) || chdir("/tmp"))
		return -errno;
	return 0;
}

static int mount_autofs(void)
{
	int ends[2], err = enter_scratch();
	char options[96];
	if (err)
		return err;
	if (pipe(ends) || mkdir("auto", 0755))
		return -errno;
	snprintf(options, sizeof(options), "fd=%d,pgrp=%d,minproto=5,maxproto=5,direct", ends[1],
		getpgrp());
	if (mount("none", "auto", "autofs", 0, options))
		return -errno;
	return file_holds("/proc/self/mountinfo", "pipe_ino=");
}

int probe_autofs(void)
{
	return in_child(mount_autofs);
}

/* Maps a file of an overlay: /proc/self/maps must show the device and inode that stat shows. */
static int map_overlay_file(void)
{
	char line[64];
	struct stat st;
	int err = enter_scratch();
	if (err)
		return err;
	if (mkdir("lower", 0755) || mkdir("upper", 0755) || mkdir("work", 0755) ||
		mkdir("merged", 0755) ||
		mount("none", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work"))
		return -errno;
	_cleanup_close_ int fd = open("merged/file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, 4096) || fstat(fd, &st) ||
		mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		return -errno;
	snprintf(line, sizeof(line), " %02x:%02x %llu ", major(st.st_dev), minor(st.st_dev),
		(unsigned long long)st.st_ino);
	return file_holds("/proc/self/maps", line);
}

int probe_overlayfs_maps(void)
{
	return in_child(map_overlay_file);
}

static int set_mount_group(void)
{
	int err = enter_scratch();
	if (err)
		return err;
	if (mkdir("from", 0755) || mkdir("to", 0755) || mount("none", "from", "tmpfs", 0, NULL) ||
		mount(NULL, "from", NULL, MS_SHARED, NULL) ||
		mount("from", "to", NULL, MS_BIND, NULL) ||
		mount(NULL, "to", NULL, MS_PRIVATE, NULL))
		return -errno;
	return result(
		syscall(SYS_move_mount, AT_FDCWD, "from", AT_FDCWD, "to", MOVE_MOUNT_SET_GROUP));
}

int probe_move_mount_set_group(void)
{
	return in_child(set_mount_group);
}

int probe_openat2(void)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
	return result(fd);
}
