/*
 * Does the path of an open file lead back to it?
 *
 * The kernel's link text is the path, followed by " (deleted)" when the name was removed; a file
 * may also be called so.  What counts is what the path leads to (spec/images-files.md 7.1):
 *
 *	the file itself                     plain
 *	removed, and no other hard link     ghost: its content goes to the images
 *	removed, other hard links exist     link remap: a temporary name is made for it
 *	another file, or hidden by a mount  cannot be dumped
 *
 * Directories have no hard links, but not all filesystems let st_nlink drop to 0 when one is
 * removed (overlayfs, btrfs), so for them the text decides.
 */
#include "file/dumping.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#include "file/procfs_remap.h"
#include "file/unsupported.h"
#include "kernel/mountinfo.h"
#include "kernel/syscalls.h"

#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif

/* The text without " (deleted)"; NULL when it does not end so. */
static const char *strip_deleted(struct file_dump *d, const char *link)
{
	static const char *const suffixes[] = {" (deleted)", "//deleted"};
	size_t len = strlen(link);
	for (size_t i = 0; i < 2; i++) {
		size_t suffix = strlen(suffixes[i]);
		if (len <= suffix + 1 || strcmp(link + len - suffix, suffixes[i]) != 0)
			continue;
		len -= suffix;
		/* the restore's way round a name that is taken: not for good */
		if (len > 9 && memcmp(link + len - 8, ".cr_link", 8) == 0)
			len -= 8;
		char *base = arena_memdup(&d->s->arena, link, len + 1);
		base[len] = '\0';
		return base;
	}
	return NULL;
}

enum { LEADS_ELSEWHERE = 0, LEADS_THERE = 1 };

/* LEADS_THERE, LEADS_ELSEWHERE, or -errno (-ENOENT: to nothing). */
static int leads_to(const struct file_view *v, const char *path, int flags, struct statx *st)
{
	if (statx(AT_FDCWD, path, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_MNT_ID, st) <
		0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	return st->stx_ino == v->st.stx_ino && st->stx_dev_major == v->st.stx_dev_major &&
			       st->stx_dev_minor == v->st.stx_dev_minor
		       ? LEADS_THERE
		       : LEADS_ELSEWHERE;
}

static bool is_nfs_silly_name(const struct file_view *v)
{
	const char *base = strrchr(v->link, '/') + 1;
	return v->fs_type == NFS_SUPER_MAGIC && strncmp(base, ".nfs", 4) == 0 &&
	       strspn(base + 4, "0123456789abcdef") >= 24;
}

/* A mount covers the directory that the file is in. */
static bool is_hidden(const struct file_view *v)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s", v->link);
	for (char *slash; (slash = strrchr(path, '/'));) {
		slash[slash == path] = '\0';
		uint64_t id;
		if (sys_mount_id(AT_FDCWD, path, 0, &id) == 0)
			return id != v->st.stx_mnt_id;
		if (slash == path)
			return false;
	}
	return false;
}

int mounts_read(struct file_dump *d)
{
	if (d->mounts_read)
		return 0;
	int r = mountinfo_read(d->s, d->tree->root->pid, &d->mount_list);
	if (r < 0)
		return fail(d->s, r, "pid %d: read its mounts", d->tree->root->vpid);
	vec_for_each (&d->mount_list, m)
		id_map_put(&d->s->arena, &d->mounts, (uint64_t)m->id, m);
	d->mounts_read = true;
	return 0;
}

/* 1: on a mount of the tree; 0: blocked. */
static int check_mount(struct file_dump *d, struct file_view *v)
{
	int r = mounts_read(d);
	if (r < 0)
		return r;
	if (id_map_get(&d->mounts, v->st.stx_mnt_id))
		return 1;
	unsupported_mount_block(d, v);
	return 0;
}

/* The name is there but leads to another inode. */
static int collect_replaced(struct file_dump *d, struct file_view *v, const struct statx *other)
{
	struct statx followed;
	bool devices = S_ISCHR(v->st.stx_mode) || S_ISBLK(v->st.stx_mode);
	if (devices && d->s->opt->evasive_devices &&
		(other->stx_mode & S_IFMT) == (v->st.stx_mode & S_IFMT) &&
		other->stx_rdev_major == v->st.stx_rdev_major &&
		other->stx_rdev_minor == v->st.stx_rdev_minor)
		return 0;
	if (leads_to(v, v->link, 0, &followed) == LEADS_THERE)
		return 0;
	if (other->stx_mnt_id != v->st.stx_mnt_id)
		view_block(
			d, v, NULL, "%s is hidden: another filesystem is mounted over it", v->link);
	else
		view_block(d, v, devices ? "use --evasive-devices if it is the same device" : NULL,
			"%s is now the name of another file", v->link);
	return 0;
}

static int collect_vanished(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	if (is_hidden(v)) {
		view_block(
			d, v, NULL, "%s is hidden: another filesystem is mounted over it", v->link);
		return 0;
	}
	if (S_ISDIR(v->st.stx_mode)) {
		view_block(d, v, NULL, "the directory %s cannot be reached by that name", v->link);
		return 0;
	}
	return link_remap_collect(d, v, f, v->link);
}

/* there, leads: what the path leads to, and what leads_to() said of it */
static int collect_by_path(struct file_dump *d, struct file_view *v, struct dumped_file *f,
	const struct statx *there, int leads, const char **ret_name)
{
	struct statx st;
	const char *base = strip_deleted(d, v->link);
	if (leads == LEADS_THERE && !is_nfs_silly_name(v)) {
		v->inode->checked_path = v->link;
		return 0;
	}
	if (base)
		*ret_name = base;
	if (v->st.stx_nlink == 0 || (base && S_ISDIR(v->st.stx_mode)))
		return ghost_collect(d, v, f, *ret_name);
	if (leads == LEADS_THERE)
		return link_remap_collect(d, v, f, v->link);
	if (base && leads_to(v, base, AT_SYMLINK_NOFOLLOW, &st) == LEADS_THERE)
		return 0; /* removed and linked again */
	if (base)
		return link_remap_collect(d, v, f, base);
	if (leads == LEADS_ELSEWHERE)
		return collect_replaced(d, v, there);
	if (leads == -ENOENT)
		return collect_vanished(d, v, f);
	view_block(d, v, NULL, "%s cannot be looked up: %s", v->link, strerror(-leads));
	return 0;
}

int reachable_collect(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, const char **ret_name)
{
	const char *known = v->inode->checked_path;
	*ret_name = v->link;
	if (known && strcmp(known, v->link) == 0) {
		*ret_name = v->link = known;
		return 0;
	}
	if (v->link[0] != '/') {
		view_block(d, v, NULL, "%s cannot be reached from the root directory", v->link);
		return 0;
	}
	if (v->fs_type == PROC_SUPER_MAGIC)
		return procfs_remap_collect(d, v, f, strip_deleted(d, v->link), ret_name);
	struct statx there;
	int leads = leads_to(v, v->link, AT_SYMLINK_NOFOLLOW, &there);
	/* what its path leads to on its own mount is on one of the tree: most need no list of mounts */
	bool in_place = leads == LEADS_THERE && there.stx_mnt_id == v->st.stx_mnt_id;
	int r = in_place ? 1 : check_mount(d, v);
	if (r <= 0)
		return r;
	if (v->fs_type == DEVPTS_SUPER_MAGIC) {
		const char *base = strip_deleted(d, v->link);
		*ret_name = base ? base : v->link;
		return 0;
	}
	return collect_by_path(d, v, f, &there, leads, ret_name);
}
