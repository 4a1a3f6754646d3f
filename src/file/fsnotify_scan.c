/*
 * Marked inodes whose handles nobody can open (overlayfs): their paths are looked for where they
 * may be, below --irmap-scan-path, below directories that the tree has open, where watchers usually
 * look, and then everywhere on the mounts of that device, until all are found or it takes too long:
 * the tree is stopped meanwhile.
 *
 * Reading a directory is an event for who watches it to be opened; so it is the last resort.
 */
#include "file/fsnotify.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <string.h>

#include "cli/options.h"

/* For what nobody asked to be scanned. */
enum { SCAN_US = 5 * 1000 * 1000 };

static const char *const usual[] = {"/etc", "/var/spool", "/var/log", "/run/dbus",
	"/usr/share/dbus-1", "/usr/share/polkit-1", "/lib/udev"};

struct mark_scan {
	struct file_dump *d;
	const marked_vec *wanted;
	size_t n_left;
	uint64_t deadline_us; /* 0: none */
};

static void compare(struct mark_scan *sc, const char *path, int kind)
{
	struct fsnotify_handle h;
	if (!fsnotify_handle_of(path, kind, &h))
		return;
	vec_for_each (sc->wanted, it) {
		const struct marked *k = *it;
		if (k->handle->path || !fsnotify_is_handle(&h, k->handle))
			continue;
		k->handle->path = arena_strdup(&sc->d->s->arena, path);
		sc->n_left--;
	}
}

/* 0 also if the directory cannot be read. */
static void scan_below(struct mark_scan *sc, const char *path)
{
	char *roots[] = {(char *)(uintptr_t)path, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	while (fts && sc->n_left && (!sc->deadline_us || now_us() < sc->deadline_us)) {
		const FTSENT *e = fts_read(fts);
		if (!e)
			break;
		for (int kind = 0; kind < FSNOTIFY_HANDLES && e->fts_info != FTS_DP; kind++)
			compare(sc, e->fts_path, kind);
	}
	if (fts)
		fts_close(fts);
}

static bool is_wanted_device(const struct mark_scan *sc, dev_t dev)
{
	vec_for_each (sc->wanted, k)
		if (!(*k)->handle->path && fsnotify_device((*k)->sdev) == dev)
			return true;
	return false;
}

static void scan_directories(struct mark_scan *sc)
{
	struct file_dump *d = sc->d;
	for (size_t i = 0; i < d->files.n && sc->n_left; i++) {
		const struct dumped_file *f = d->files.v[i];
		struct stat st;
		if (f->kind == FD_TYPES__REG && f->link && *f->link == '/' && f->link[1] &&
			stat(f->link, &st) == 0 && S_ISDIR(st.st_mode))
			scan_below(sc, f->link);
	}
}

void fsnotify_scan(struct file_dump *d, const marked_vec *wanted)
{
	struct mark_scan sc = {.d = d, .wanted = wanted, .n_left = wanted->n};
	const struct strings *given = &d->s->opt->irmap_scan_path;
	for (size_t i = 0; i < given->n && sc.n_left; i++)
		scan_below(&sc, given->v[i]);
	sc.deadline_us = now_us() + SCAN_US;
	scan_directories(&sc);
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual) && sc.n_left; i++)
		scan_below(&sc, usual[i]);
	for (size_t i = 0; i < d->mount_list.n && sc.n_left; i++)
		if (is_wanted_device(&sc, d->mount_list.v[i].dev))
			scan_below(&sc, d->mount_list.v[i].mountpoint);
}
