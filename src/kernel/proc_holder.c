/*
 * The links of /proc/PID/fd tell what is open ("socket:[17]", "/dev/pts/3").  Reading them opens
 * nothing; only a link that fits is followed, by stat(2), and only if it is one of a device.
 */
#include "kernel/proc_holder.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static bool ends_in(const char *text, size_t len, const char *end)
{
	size_t n = strlen(end);
	return len >= n && memcmp(text + len - n, end, n) == 0;
}

static bool has_open(pid_t pid, const char *link_end, dev_t dev, dev_t rdev)
{
	char path[64], text[PATH_MAX];
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	_cleanup_dir_ DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, text, sizeof(text));
		struct stat st;
		if (n <= 0 || !ends_in(text, (size_t)n, link_end))
			continue;
		if (!rdev || (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
				     st.st_rdev == rdev && st.st_dev == dev))
			return true;
	}
	return false;
}

pid_t proc_find_holder(const char *link_end, dev_t dev, dev_t rdev)
{
	_cleanup_dir_ DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 0 && pid != getpid() && has_open(pid, link_end, dev, rdev))
			return pid;
	}
	return 0;
}
